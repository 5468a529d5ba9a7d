#include "daguerre/pipeline/conditioning.hpp"

#include "pipeline/name.hpp"

namespace daguerre {
namespace {

/// The tensors that `get` picks from each part, joined; empty where all are.
template <class Get>
Tensor<float> joined_tensors(std::span<const Conditioning> parts, const char* what, const Get& get) {
  std::vector<Tensor<float>> tensors;
  for (const auto& part : parts) {
    const Tensor<float>& tensor = get(part);
    if (tensor.empty()) continue;
    if (!tensors.empty() && !(tensor.shape().with(0, 1) == tensors.front().shape().with(0, 1)))
      throw ArgumentError(pipeline_name, std::string(what) + " " + to_string(tensor.shape()) + " beside " +
                                             to_string(tensors.front().shape()) +
                                             ": conditions of one image must be of one shape");
    tensors.push_back(tensor);
  }
  if (tensors.empty()) return {};
  if (tensors.size() != parts.size())
    throw ArgumentError(pipeline_name,
                        std::string("only some conditions of an image have ") + what + ", all or none must");
  return tensors.size() == 1 ? tensors.front() : concat_leading<float>(tensors);
}

/// The keys of each attention, joined adapter by adapter; scales are those of the first part.
std::vector<std::vector<nn::DecoupledKeys>> joined_keys(std::span<const Conditioning> parts) {
  auto result = parts.empty() ? std::vector<std::vector<nn::DecoupledKeys>>() : parts.front().decoupled;
  for (const auto& part : parts)
    if (part.decoupled.size() != result.size())
      throw ArgumentError(pipeline_name,
                          "only some conditions of an image have image prompts, all or none must");
  for (std::size_t i = 0; i < result.size(); ++i)
    for (std::size_t k = 0; k < result[i].size(); ++k) {
      std::vector<Tensor<float>> tensors;
      for (const auto& part : parts) tensors.push_back(part.decoupled[i].at(k).keys_values);
      result[i][k].keys_values = concat_leading<float>(tensors);
    }
  return result;
}

}  // namespace

Conditioning joined(std::span<const Conditioning> parts) {
  Conditioning result;
  result.context = joined_tensors(parts, "context", [](const auto& part) { return part.context; });
  result.pooled = joined_tensors(parts, "pooled", [](const auto& part) { return part.pooled; });
  result.mask = joined_tensors(parts, "mask", [](const auto& part) { return part.mask; });
  result.concat = joined_tensors(parts, "concat", [](const auto& part) { return part.concat; });
  for (const auto& part : parts) {
    result.labels.insert(result.labels.end(), part.labels.begin(), part.labels.end());
    result.sides.insert(result.sides.end(), part.sides.begin(), part.sides.end());
    for (const auto& [name, tensor] : part.extras) result.extras.try_emplace(name);
  }
  for (auto& [name, tensor] : result.extras)
    tensor = joined_tensors(parts, name.c_str(), [&key = name](const auto& part) {
      const auto found = part.extras.find(key);
      return found == part.extras.end() ? Tensor<float>() : found->second;
    });
  result.decoupled = joined_keys(parts);
  if (!parts.empty()) {
    result.free_u = parts.front().free_u;
    result.windows = parts.front().windows;
  }
  return result;
}

Conditioning zeros_like(const Conditioning& conditioning) {
  const auto zeros = [](const Tensor<float>& x) {
    return x.empty() ? Tensor<float>() : Tensor<float>::zeros(x.shape());
  };
  Conditioning result{.context = zeros(conditioning.context),
                      .pooled = zeros(conditioning.pooled),
                      .mask = conditioning.mask,
                      .concat = zeros(conditioning.concat),
                      .labels = conditioning.labels,
                      .extras = {},
                      .sides = conditioning.sides};
  for (const auto& [name, tensor] : conditioning.extras) result.extras.emplace(name, zeros(tensor));
  return result;
}

}  // namespace daguerre

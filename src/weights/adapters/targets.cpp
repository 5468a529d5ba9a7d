#include "weights/adapters/targets.hpp"

#include <algorithm>
#include <utility>

#include "weights/adapters/keys.hpp"
#include "weights/denoiser_kinds.hpp"

namespace daguerre::weights::adapters {
namespace {

/// A network's tensors in its original layout, those without a place left out.
std::vector<key_maps::JoinedTensor> original_tensors(const StateDict& weights) {
  for (const auto* kind : denoiser_kinds())
    if (std::all_of(kind->diffusers.begin(), kind->diffusers.end(),
                    [&](std::string_view name) { return weights.contains(name); }))
      return kind->to_original(weights, key_maps::Unplaced::left_out);
  return {};
}

}  // namespace

Targets::Targets(const StateDict& weights) {
  for (const auto& name : weights.names()) {
    shapes_.emplace(name, weights.shape(name));
    add(name, {{name}, weights.shape(name)});
  }
  for (const auto& tensor : original_tensors(weights)) {
    if (tensor.transposed) continue;
    for (const auto& source : tensor.sources) original_.emplace(source, tensor.name);
    add(tensor.name, {tensor.sources, tensor.shape, tensor.halves_swapped});
    // What XLabs changes of a block's first product: queries, keys and values alone.
    constexpr std::string_view product = ".linear1.weight";
    if (tensor.sources.size() != 4 || !tensor.name.ends_with(product)) continue;
    Target attention{{tensor.sources.begin(), tensor.sources.begin() + 3}, tensor.shape};
    attention.shape = tensor.shape.with(0, tensor.shape[0] - weights.shape(tensor.sources[3])[0]);
    add(tensor.name.substr(0, tensor.name.size() - product.size()) + ".qkv.weight", std::move(attention));
  }
}

void Targets::add(const std::string& name, Target target) {
  targets_.try_emplace(flattened(name), std::move(target));
}

const Target* Targets::find(const std::string& module, std::string_view kind) const {
  // Some write a text encoder's names without what its model is called.
  for (const char* const prefix : {"", "text_model_"}) {
    const auto found = targets_.find(std::string(prefix).append(module).append("_").append(kind));
    if (found != targets_.end()) return &found->second;
  }
  return nullptr;
}

const Shape* Targets::tensor(const std::string& name) const {
  const auto found = shapes_.find(name);
  return found == shapes_.end() ? nullptr : &found->second;
}

const std::string& Targets::original_name(const std::string& name) const {
  const auto found = original_.find(name);
  return found == original_.end() ? name : found->second;
}

}  // namespace daguerre::weights::adapters

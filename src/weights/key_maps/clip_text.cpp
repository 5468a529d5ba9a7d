#include <algorithm>
#include <array>

#include "weights/key_maps/layouts.hpp"
#include "weights/key_maps/names.hpp"

namespace daguerre::weights::key_maps {
namespace {

constexpr std::string_view clip_embedding = "embeddings.token_embedding.weight";

std::string clip_name(std::string_view name, std::string_view wrapper) {
  constexpr std::array<std::string_view, 3> inner{"embeddings.", "encoder.", "final_layer_norm."};
  if (name.starts_with(wrapper)) name.remove_prefix(wrapper.size());
  const bool bare = std::any_of(inner.begin(), inner.end(),
                                [&](std::string_view begin) { return name.starts_with(begin); });
  std::string result = bare ? "text_model." : "";
  result += name;
  for (const auto& [from, to] : std::array<Rule, 2>{{{".gamma", ".weight"}, {".beta", ".bias"}}})
    if (result.ends_with(from)) result.replace(result.size() - from.size(), from.size(), to);
  return result;
}

/// What stands before the model's own name, where it is not the usual form.
std::optional<std::string_view> clip_wrapper(const StateDict& weights) {
  for (const std::string_view wrapper : {"", "clip."})
    for (const std::string_view model : {"", "text_model."}) {
      const std::string prefix = std::string(wrapper).append(model);
      const bool renamed = prefix != "text_model." || weights.contains("text_model.final_layer_norm.gamma");
      if (renamed && weights.contains(prefix + std::string(clip_embedding))) return wrapper;
    }
  return std::nullopt;
}

}  // namespace

bool is_renamed_clip(const StateDict& weights) {
  return clip_wrapper(weights).has_value();
}

StateDict from_renamed_clip(const StateDict& weights) {
  const auto wrapper = clip_wrapper(weights).value_or("");
  std::vector<RenamedTensor> result;
  for (const auto& name : weights.names()) result.push_back({clip_name(name, wrapper), name});
  return weights.renamed(result);
}

}  // namespace daguerre::weights::key_maps

#include <array>
#include <string>

#include "weights/key_maps/layouts.hpp"
#include "weights/key_maps/names.hpp"

namespace daguerre::weights::key_maps {
namespace {

/// Parts of names behind a transformer's number, and diffusers'.
constexpr std::array<Rule, 7> motion_block_rules{{{"attention_blocks.0.pos_encoder", "pos_embed"},
                                           {"attention_blocks.1.pos_encoder", ""},
                                           {"attention_blocks.0", "attn1"},
                                           {"attention_blocks.1", "attn2"},
                                           {"norms.0", "norm1"},
                                           {"norms.1", "norm2"},
                                           {"ff_norm", "norm3"}}};
constexpr std::string_view inner = "temporal_transformer.", block_list = "transformer_blocks.";

/// Empty for the second table of positions, which is the first one again.
std::string motion_name(const std::string& name) {
  const auto at = name.find(inner);
  if (at == name.npos) return name;
  const auto rest = name.substr(at + inner.size());
  const auto block = numbered(rest, block_list);
  if (!block) return name.substr(0, at) + rest;
  const auto changed = to_diffusers(block->second, motion_block_rules).value_or(std::string(block->second));
  if (changed.starts_with('.')) return {};
  return name.substr(0, at) + joined_name(block_list, block->first, changed);
}

}  // namespace

bool is_original_motion(const StateDict& weights) {
  return weights.contains("down_blocks.0.motion_modules.0.temporal_transformer.norm.weight");
}

StateDict from_original_motion(const StateDict& weights) {
  std::vector<RenamedTensor> result;
  for (const auto& name : weights.names())
    if (auto changed = motion_name(name); !changed.empty()) result.push_back({std::move(changed), name});
  return weights.renamed(result);
}

}  // namespace daguerre::weights::key_maps

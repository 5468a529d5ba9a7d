#include <algorithm>
#include <array>

#include "weights/key_maps/layouts.hpp"
#include "weights/key_maps/names.hpp"

namespace daguerre::weights::key_maps {
namespace {

constexpr std::array<Rule, 4> dit_rules{{{"x_embedder.proj", "pos_embed.proj"},
                                         {"pos_embed", "pos_embed.pos_embed"},
                                         {"final_layer.adaLN_modulation.1", "proj_out_1"},
                                         {"final_layer.linear", "proj_out_2"}}};
/// Below `blocks.N` and `transformer_blocks.N`.
constexpr std::array<Rule, 4> dit_block_rules{{{"adaLN_modulation.1", "norm1.linear"},
                                               {"attn.proj", "attn1.to_out.0"},
                                               {"mlp.fc1", "ff.net.0.proj"},
                                               {"mlp.fc2", "ff.net.2"}}};
/// Shared there by all blocks; in diffusers each has its own.
constexpr std::array<Rule, 3> dit_embedder_rules{
    {{"t_embedder.mlp.0", "norm1.emb.timestep_embedder.linear_1"},
     {"t_embedder.mlp.2", "norm1.emb.timestep_embedder.linear_2"},
     {"y_embedder.embedding_table", "norm1.emb.class_embedder.embedding_table"}}};

constexpr std::string_view dit_blocks = "blocks.", diffusers_blocks = "transformer_blocks.";

void add_block_part(const StateDict& weights, const std::string& source, const std::string& block,
                    std::string_view part, std::vector<RenamedTensor>& result) {
  constexpr std::string_view qkv = "attn.qkv.";
  constexpr std::array<std::string_view, 3> names{"to_q.", "to_k.", "to_v."};
  if (part.starts_with(qkv))
    split_evenly(weights, source, block + "attn1.", names, part.substr(qkv.size()), result);
  else if (const auto name = to_diffusers(part, dit_block_rules))
    result.push_back({block + *name, source});
  else
    result.push_back({source, source});
}

}  // namespace

bool is_original_dit(const StateDict& weights) {
  return weights.contains("x_embedder.proj.weight") && weights.contains("blocks.0.adaLN_modulation.1.weight");
}

StateDict from_original_dit(const StateDict& weights) {
  const auto names = weights.names();
  std::vector<std::string> blocks;
  for (const auto& name : names)
    if (const auto found = numbered(name, dit_blocks))
      blocks.push_back(joined_name(diffusers_blocks, found->first, ""));
  blocks.erase(std::unique(blocks.begin(), blocks.end()), blocks.end());  // the names are sorted

  std::vector<RenamedTensor> result;
  for (const auto& name : names) {
    if (const auto found = numbered(name, dit_blocks)) {
      add_block_part(weights, name, joined_name(diffusers_blocks, found->first, ""), found->second, result);
    } else if (const auto shared = to_diffusers(name, dit_embedder_rules)) {
      for (const auto& block : blocks) result.push_back({block + *shared, name});
    } else {
      result.push_back({to_diffusers(name, dit_rules).value_or(name), name});
    }
  }
  return weights.renamed(result);
}

}  // namespace daguerre::weights::key_maps

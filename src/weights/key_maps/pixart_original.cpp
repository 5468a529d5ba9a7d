#include <array>

#include "weights/key_maps/original_layout.hpp"

namespace daguerre::weights::key_maps {
namespace {

constexpr std::array<Rule, 12> pixart_rules{
    {{"x_embedder.proj", "pos_embed.proj"},
     {"t_embedder.mlp.0", "adaln_single.emb.timestep_embedder.linear_1"},
     {"t_embedder.mlp.2", "adaln_single.emb.timestep_embedder.linear_2"},
     {"csize_embedder.mlp.0", "adaln_single.emb.resolution_embedder.linear_1"},
     {"csize_embedder.mlp.2", "adaln_single.emb.resolution_embedder.linear_2"},
     {"ar_embedder.mlp.0", "adaln_single.emb.aspect_ratio_embedder.linear_1"},
     {"ar_embedder.mlp.2", "adaln_single.emb.aspect_ratio_embedder.linear_2"},
     {"t_block.1", "adaln_single.linear"},
     {"y_embedder.y_proj.fc1", "caption_projection.linear_1"},
     {"y_embedder.y_proj.fc2", "caption_projection.linear_2"},
     {"final_layer.linear", "proj_out"},
     {"final_layer.scale_shift_table", "scale_shift_table"}}};
/// Below `blocks.N` and `transformer_blocks.N`.
constexpr std::array<Rule, 6> pixart_block_rules{{{"scale_shift_table", "scale_shift_table"},
                                                  {"attn.proj", "attn1.to_out.0"},
                                                  {"cross_attn.q_linear", "attn2.to_q"},
                                                  {"cross_attn.proj", "attn2.to_out.0"},
                                                  {"mlp.fc1", "ff.net.0.proj"},
                                                  {"mlp.fc2", "ff.net.2"}}};
constexpr std::array<std::string_view, 3> pixart_qkv{"to_q.", "to_k.", "to_v."};
constexpr std::array<std::string_view, 2> pixart_kv{"to_k.", "to_v."};
constexpr std::array<SplitRule, 2> pixart_splits{
    {{"attn.qkv.", "attn1.", pixart_qkv}, {"cross_attn.kv_linear.", "attn2.", pixart_kv}}};
constexpr std::array<BlockList, 1> pixart_blocks{
    {{"blocks.", "transformer_blocks.", pixart_block_rules, pixart_splits}}};
constexpr OriginalLayout pixart_layout{"the original layout of PixArt", pixart_rules, pixart_blocks};

}  // namespace

bool is_original_pixart(const StateDict& weights) {
  return weights.contains("x_embedder.proj.weight") && weights.contains("t_block.1.weight") &&
         weights.contains("blocks.0.cross_attn.kv_linear.weight");
}

StateDict from_original_pixart(const StateDict& weights) {
  // The table of positions follows from the configuration; what stands for no prompt is not read.
  std::vector<RenamedTensor> kept;
  for (const auto& name : weights.names())
    if (name != "pos_embed" && name != "y_embedder.y_embedding") kept.push_back({name, name});
  return from_original(weights.renamed(kept), pixart_layout);
}

std::vector<JoinedTensor> to_original_pixart(const StateDict& weights, Unplaced unplaced) {
  return to_original(weights, pixart_layout, unplaced);
}

}  // namespace daguerre::weights::key_maps

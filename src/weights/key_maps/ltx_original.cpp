#include <array>

#include "weights/key_maps/original_layout.hpp"

namespace daguerre::weights::key_maps {
namespace {

constexpr std::array<Rule, 6> ltx_rules{{{"patchify_proj", "proj_in"},
                                         {"adaln_single.emb", "time_embed.emb"},
                                         {"adaln_single.linear", "time_embed.linear"},
                                         // These are called the same.
                                         {"caption_projection", "caption_projection"},
                                         {"scale_shift_table", "scale_shift_table"},
                                         {"proj_out", "proj_out"}}};
/// Below `transformer_blocks.N`.
constexpr std::array<Rule, 14> ltx_block_rules{{{"attn1.q_norm", "attn1.norm_q"},
                                                {"attn1.k_norm", "attn1.norm_k"},
                                                {"attn2.q_norm", "attn2.norm_q"},
                                                {"attn2.k_norm", "attn2.norm_k"},
                                                {"attn1.to_q", "attn1.to_q"},
                                                {"attn1.to_k", "attn1.to_k"},
                                                {"attn1.to_v", "attn1.to_v"},
                                                {"attn1.to_out", "attn1.to_out"},
                                                {"attn2.to_q", "attn2.to_q"},
                                                {"attn2.to_k", "attn2.to_k"},
                                                {"attn2.to_v", "attn2.to_v"},
                                                {"attn2.to_out", "attn2.to_out"},
                                                {"ff.net", "ff.net"},
                                                {"scale_shift_table", "scale_shift_table"}}};
constexpr std::array<BlockList, 1> ltx_blocks{
    {{"transformer_blocks.", "transformer_blocks.", ltx_block_rules, {}}}};
constexpr OriginalLayout ltx_layout{"the original layout of LTX-Video", ltx_rules, ltx_blocks};

}  // namespace

bool is_original_ltx(const StateDict& weights) {
  return weights.contains("patchify_proj.weight") && weights.contains("adaln_single.linear.weight") &&
         weights.contains("transformer_blocks.0.attn1.q_norm.weight");
}

StateDict from_original_ltx(const StateDict& weights) {
  return from_original(weights, ltx_layout);
}

std::vector<JoinedTensor> to_original_ltx(const StateDict& weights, Unplaced unplaced) {
  return to_original(weights, ltx_layout, unplaced);
}

}  // namespace daguerre::weights::key_maps

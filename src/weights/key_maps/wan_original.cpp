#include <array>

#include "weights/key_maps/original_layout.hpp"

namespace daguerre::weights::key_maps {
namespace {

constexpr std::array<Rule, 14> wan_rules{
    {{"text_embedding.0", "condition_embedder.text_embedder.linear_1"},
     {"text_embedding.2", "condition_embedder.text_embedder.linear_2"},
     {"time_embedding.0", "condition_embedder.time_embedder.linear_1"},
     {"time_embedding.2", "condition_embedder.time_embedder.linear_2"},
     {"time_projection.1", "condition_embedder.time_proj"},
     {"img_emb.proj.0", "condition_embedder.image_embedder.norm1"},
     {"img_emb.proj.1", "condition_embedder.image_embedder.ff.net.0.proj"},
     {"img_emb.proj.3", "condition_embedder.image_embedder.ff.net.2"},
     {"img_emb.proj.4", "condition_embedder.image_embedder.norm2"},
     {"img_emb.emb_pos", "condition_embedder.image_embedder.pos_embed"},
     {"head.modulation", "scale_shift_table"},
     {"head.head", "proj_out"},
     // These are called the same.
     {"patch_embedding", "patch_embedding"},
     {"vace_patch_embedding", "vace_patch_embedding"}}};
/// Below `blocks.N` and `vace_blocks.N`.
constexpr std::array<Rule, 21> wan_block_rules{{{"modulation", "scale_shift_table"},
                                                {"self_attn.q", "attn1.to_q"},
                                                {"self_attn.k", "attn1.to_k"},
                                                {"self_attn.v", "attn1.to_v"},
                                                {"self_attn.o", "attn1.to_out.0"},
                                                {"self_attn.norm_q", "attn1.norm_q"},
                                                {"self_attn.norm_k", "attn1.norm_k"},
                                                {"cross_attn.q", "attn2.to_q"},
                                                {"cross_attn.k", "attn2.to_k"},
                                                {"cross_attn.v", "attn2.to_v"},
                                                {"cross_attn.o", "attn2.to_out.0"},
                                                {"cross_attn.norm_q", "attn2.norm_q"},
                                                {"cross_attn.norm_k", "attn2.norm_k"},
                                                {"cross_attn.k_img", "attn2.add_k_proj"},
                                                {"cross_attn.v_img", "attn2.add_v_proj"},
                                                {"cross_attn.norm_k_img", "attn2.norm_added_k"},
                                                {"norm3", "norm2"},
                                                {"ffn.0", "ffn.net.0.proj"},
                                                {"ffn.2", "ffn.net.2"},
                                                {"before_proj", "proj_in"},
                                                {"after_proj", "proj_out"}}};
constexpr std::array<BlockList, 2> wan_blocks{
    {{"blocks.", "blocks.", wan_block_rules, {}}, {"vace_blocks.", "vace_blocks.", wan_block_rules, {}}}};
constexpr OriginalLayout wan_layout{"the original layout of Wan", wan_rules, wan_blocks};

}  // namespace

bool is_original_wan(const StateDict& weights) {
  return weights.contains("text_embedding.0.weight") && weights.contains("head.head.weight") &&
         weights.contains("blocks.0.self_attn.q.weight");
}

StateDict from_original_wan(const StateDict& weights) {
  return from_original(weights, wan_layout);
}

std::vector<JoinedTensor> to_original_wan(const StateDict& weights, Unplaced unplaced) {
  return to_original(weights, wan_layout, unplaced);
}

}  // namespace daguerre::weights::key_maps

#include <array>

#include "weights/key_maps/original_layout.hpp"

namespace daguerre::weights::key_maps {
namespace {

constexpr std::string_view sd3_blocks = "joint_blocks.", sd3_diffusers_blocks = "transformer_blocks.";

constexpr std::array<Rule, 9> sd3_rules{{{"x_embedder.proj", "pos_embed.proj"},
                                         {"pos_embed", "pos_embed.pos_embed"},
                                         {"t_embedder.mlp.0", "time_text_embed.timestep_embedder.linear_1"},
                                         {"t_embedder.mlp.2", "time_text_embed.timestep_embedder.linear_2"},
                                         {"y_embedder.mlp.0", "time_text_embed.text_embedder.linear_1"},
                                         {"y_embedder.mlp.2", "time_text_embed.text_embedder.linear_2"},
                                         {"context_embedder", "context_embedder"},
                                         {"final_layer.linear", "proj_out"},
                                         {"final_layer.adaLN_modulation.1", "norm_out.linear"}}};
/// Below `joint_blocks.N` and `transformer_blocks.N`.
constexpr std::array<Rule, 15> sd3_block_rules{{{"x_block.adaLN_modulation.1", "norm1.linear"},
                                                {"x_block.attn.proj", "attn.to_out.0"},
                                                {"x_block.attn.ln_q", "attn.norm_q"},
                                                {"x_block.attn.ln_k", "attn.norm_k"},
                                                {"x_block.attn2.proj", "attn2.to_out.0"},
                                                {"x_block.attn2.ln_q", "attn2.norm_q"},
                                                {"x_block.attn2.ln_k", "attn2.norm_k"},
                                                {"x_block.mlp.fc1", "ff.net.0.proj"},
                                                {"x_block.mlp.fc2", "ff.net.2"},
                                                {"context_block.adaLN_modulation.1", "norm1_context.linear"},
                                                {"context_block.attn.proj", "attn.to_add_out"},
                                                {"context_block.attn.ln_q", "attn.norm_added_q"},
                                                {"context_block.attn.ln_k", "attn.norm_added_k"},
                                                {"context_block.mlp.fc1", "ff_context.net.0.proj"},
                                                {"context_block.mlp.fc2", "ff_context.net.2"}}};

constexpr std::array<std::string_view, 3> own_qkv{"to_q.", "to_k.", "to_v."};
constexpr std::array<std::string_view, 3> added_qkv{"add_q_proj.", "add_k_proj.", "add_v_proj."};
constexpr std::array<SplitRule, 3> sd3_qkv_rules{{{"x_block.attn.qkv.", "attn.", own_qkv},
                                                  {"x_block.attn2.qkv.", "attn2.", own_qkv},
                                                  {"context_block.attn.qkv.", "attn.", added_qkv}}};

constexpr std::array<BlockList, 1> sd3_lists{
    {{sd3_blocks, sd3_diffusers_blocks, sd3_block_rules, sd3_qkv_rules}}};

/// Shift before scale there, in diffusers after it: in the last norm, and in a block that only looks at the
/// prompt.
bool swaps_sd3_halves(const StateDict& weights, std::string_view name) {
  if (name.starts_with("norm_out.linear.")) return true;
  const auto block = numbered(name, sd3_diffusers_blocks);
  return block && block->second.starts_with("norm1_context.linear.") &&
         !weights.contains(joined_name(sd3_diffusers_blocks, block->first, "attn.to_add_out.weight"));
}

constexpr OriginalLayout sd3_layout{"Stability's layout of Stable Diffusion 3", sd3_rules, sd3_lists,
                                    swaps_sd3_halves};

}  // namespace

bool is_original_sd3(const StateDict& weights) {
  return weights.contains("x_embedder.proj.weight") &&
         weights.contains("joint_blocks.0.context_block.attn.qkv.weight");
}

StateDict from_original_sd3(const StateDict& weights) {
  return from_original(weights, sd3_layout);
}

std::vector<JoinedTensor> to_original_sd3(const StateDict& weights, Unplaced unplaced) {
  return to_original(weights, sd3_layout, unplaced);
}

}  // namespace daguerre::weights::key_maps

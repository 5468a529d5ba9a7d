#include <array>

#include "weights/key_maps/original_layout.hpp"

namespace daguerre::weights::key_maps {
namespace {

constexpr std::string_view double_blocks = "double_blocks.", single_blocks = "single_blocks.";

constexpr std::array<Rule, 10> flux_rules{
    {{"img_in", "x_embedder"},
     {"txt_in", "context_embedder"},
     {"time_in.in_layer", "time_text_embed.timestep_embedder.linear_1"},
     {"time_in.out_layer", "time_text_embed.timestep_embedder.linear_2"},
     {"vector_in.in_layer", "time_text_embed.text_embedder.linear_1"},
     {"vector_in.out_layer", "time_text_embed.text_embedder.linear_2"},
     {"guidance_in.in_layer", "time_text_embed.guidance_embedder.linear_1"},
     {"guidance_in.out_layer", "time_text_embed.guidance_embedder.linear_2"},
     {"final_layer.linear", "proj_out"},
     {"final_layer.adaLN_modulation.1", "norm_out.linear"}}};
/// Below `double_blocks.N` and `transformer_blocks.N`.
constexpr std::array<Rule, 12> flux_double_rules{
    {{"img_mod.lin", "norm1.linear"},
     {"txt_mod.lin", "norm1_context.linear"},
     {"img_attn.norm.query_norm.scale", "attn.norm_q.weight"},
     {"img_attn.norm.key_norm.scale", "attn.norm_k.weight"},
     {"txt_attn.norm.query_norm.scale", "attn.norm_added_q.weight"},
     {"txt_attn.norm.key_norm.scale", "attn.norm_added_k.weight"},
     {"img_attn.proj", "attn.to_out.0"},
     {"txt_attn.proj", "attn.to_add_out"},
     {"img_mlp.0", "ff.net.0.proj"},
     {"img_mlp.2", "ff.net.2"},
     {"txt_mlp.0", "ff_context.net.0.proj"},
     {"txt_mlp.2", "ff_context.net.2"}}};
/// Below `single_blocks.N` and `single_transformer_blocks.N`.
constexpr std::array<Rule, 4> flux_single_rules{{{"modulation.lin", "norm.linear"},
                                                 {"norm.query_norm.scale", "attn.norm_q.weight"},
                                                 {"norm.key_norm.scale", "attn.norm_k.weight"},
                                                 {"linear2", "proj_out"}}};
constexpr std::array<std::string_view, 3> flux_qkv{"to_q.", "to_k.", "to_v."};
constexpr std::array<std::string_view, 3> flux_added_qkv{"add_q_proj.", "add_k_proj.", "add_v_proj."};

constexpr std::array<std::string_view, 4> flux_single_product{"attn.to_q.", "attn.to_k.", "attn.to_v.",
                                                              "proj_mlp."};
constexpr std::array<SplitRule, 2> flux_double_splits{
    {{"img_attn.qkv.", "attn.", flux_qkv}, {"txt_attn.qkv.", "attn.", flux_added_qkv}}};
constexpr std::array<SplitRule, 1> flux_single_splits{
    {{"linear1.", "", flux_single_product, "linear2.weight"}}};
constexpr std::array<BlockList, 2> flux_lists{
    {{double_blocks, "transformer_blocks.", flux_double_rules, flux_double_splits},
     {single_blocks, "single_transformer_blocks.", flux_single_rules, flux_single_splits}}};

/// (shift, scale) there, (scale, shift) in diffusers.
bool swaps_flux_halves(const StateDict&, std::string_view name) {
  return name.starts_with("norm_out.linear.");
}

constexpr OriginalLayout flux_layout{"Black Forest Labs' layout of FLUX", flux_rules, flux_lists,
                                     swaps_flux_halves};

}  // namespace

bool is_original_flux(const StateDict& weights) {
  return weights.contains("img_in.weight") && weights.contains("double_blocks.0.img_attn.qkv.weight") &&
         weights.contains("single_blocks.0.linear1.weight");
}

StateDict from_original_flux(const StateDict& weights) {
  return from_original(weights, flux_layout);
}

std::vector<JoinedTensor> to_original_flux(const StateDict& weights, Unplaced unplaced) {
  return to_original(weights, flux_layout, unplaced);
}

}  // namespace daguerre::weights::key_maps

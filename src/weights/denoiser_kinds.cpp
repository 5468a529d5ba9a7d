#include "weights/denoiser_kinds.hpp"

#include <algorithm>
#include <array>

#include "weights/shape_configs.hpp"
#include "weights/transformer_configs.hpp"

namespace daguerre::weights {
namespace {

Extent extent_of(const StateDict& weights, const char* name, int axis) {
  const Shape shape = weights.shape(name);
  return {name, axis < shape.rank() ? shape[axis] : 0};
}

Extent none(const StateDict&) {
  return {};
}

/// Of a transformer that gives patches of 2 x 2.
Extent patched(const StateDict& weights, Index patch) {
  const auto rows = extent_of(weights, "proj_out.weight", 0);
  return {rows.tensor, rows.value / (patch * patch)};
}

}  // namespace

const DenoiserKind& unet_kind() {
  static const DenoiserKind kind{
      .part = "unet",
      .class_name = "UNet2DConditionModel",
      .title = "U-Net",
      .original = {"input_blocks.0.0.weight", "time_embed.0.weight", "out.2.weight"},
      .diffusers = {"conv_in.weight", "conv_out.weight", "time_embedding.linear_1.weight",
                    "down_blocks.0.resnets.0.conv1.weight"},
      .from_original = key_maps::from_ldm_unet,
      .to_original = key_maps::to_ldm_unet,
      .config = unet_config,
      .states = context_width,
      .pooled = none,
      .latents = [](const StateDict& weights) { return extent_of(weights, "conv_out.weight", 0); }};
  return kind;
}

const DenoiserKind& sd3_kind() {
  static const DenoiserKind kind{
      .part = "transformer",
      .class_name = "SD3Transformer2DModel",
      .title = "transformer",
      .original = {"x_embedder.proj.weight", "joint_blocks.0.context_block.attn.qkv.weight",
                   "final_layer.linear.weight"},
      .diffusers = {"pos_embed.proj.weight", "transformer_blocks.0.attn.add_k_proj.weight",
                    "proj_out.weight"},
      .from_original = key_maps::from_original_sd3,
      .to_original = key_maps::to_original_sd3,
      .config = sd3_config,
      .states = [](const StateDict& weights) { return extent_of(weights, "context_embedder.weight", 1); },
      .pooled =
          [](const StateDict& weights) {
            return extent_of(weights, "time_text_embed.text_embedder.linear_1.weight", 1);
          },
      .latents = [](const StateDict& weights) { return extent_of(weights, "pos_embed.proj.weight", 1); }};
  return kind;
}

const DenoiserKind& flux_kind() {
  static const DenoiserKind kind{
      .part = "transformer",
      .class_name = "FluxTransformer2DModel",
      .title = "transformer",
      .original = {"img_in.weight", "vector_in.in_layer.weight", "double_blocks.0.img_attn.qkv.weight",
                   "single_blocks.0.linear1.weight", "final_layer.linear.weight"},
      .diffusers = {"x_embedder.weight", "time_text_embed.text_embedder.linear_1.weight",
                    "transformer_blocks.0.attn.add_k_proj.weight",
                    "single_transformer_blocks.0.proj_mlp.weight", "proj_out.weight"},
      .from_original = key_maps::from_original_flux,
      .to_original = key_maps::to_original_flux,
      .config = flux_config,
      .states = [](const StateDict& weights) { return extent_of(weights, "context_embedder.weight", 1); },
      .pooled =
          [](const StateDict& weights) {
            return extent_of(weights, "time_text_embed.text_embedder.linear_1.weight", 1);
          },
      .latents = [](const StateDict& weights) { return patched(weights, 2); }};
  return kind;
}

const DenoiserKind& pixart_kind() {
  static const DenoiserKind kind{
      .part = "transformer",
      .class_name = "PixArtTransformer2DModel",
      .title = "transformer",
      .original = {"x_embedder.proj.weight", "t_block.1.weight", "y_embedder.y_proj.fc1.weight",
                   "blocks.0.cross_attn.kv_linear.weight", "final_layer.linear.weight"},
      .diffusers = {"pos_embed.proj.weight", "adaln_single.linear.weight",
                    "caption_projection.linear_1.weight", "transformer_blocks.0.attn2.to_k.weight",
                    "proj_out.weight"},
      .from_original = key_maps::from_original_pixart,
      .to_original = key_maps::to_original_pixart,
      .config = pixart_config,
      .states =
          [](const StateDict& weights) {
            return extent_of(weights, "caption_projection.linear_1.weight", 1);
          },
      .pooled = none,
      .latents = [](const StateDict& weights) { return extent_of(weights, "pos_embed.proj.weight", 1); }};
  return kind;
}

const DenoiserKind& wan_kind() {
  static const DenoiserKind kind{
      .part = "transformer",
      .class_name = "WanTransformer3DModel",
      .title = "transformer",
      .original = {"patch_embedding.weight", "text_embedding.0.weight", "time_projection.1.weight",
                   "blocks.0.self_attn.q.weight", "head.head.weight"},
      .diffusers = {"patch_embedding.weight", "condition_embedder.text_embedder.linear_1.weight",
                    "condition_embedder.time_proj.weight", "blocks.0.attn1.to_q.weight", "proj_out.weight"},
      .from_original = key_maps::from_original_wan,
      .to_original = key_maps::to_original_wan,
      .config = wan_config,
      .states =
          [](const StateDict& weights) {
            return extent_of(weights, "condition_embedder.text_embedder.linear_1.weight", 1);
          },
      .pooled = none,
      .latents = [](const StateDict& weights) { return patched(weights, 2); }};
  return kind;
}

const DenoiserKind& wan_vace_kind() {
  static const DenoiserKind kind = [] {
    auto result = wan_kind();
    result.class_name = "WanVACETransformer3DModel";
    result.original.push_back("vace_patch_embedding.weight");
    result.diffusers.push_back("vace_patch_embedding.weight");
    return result;
  }();
  return kind;
}

std::span<const DenoiserKind* const> denoiser_kinds() {
  // A kind that has all that another has stands before it.
  static const std::array all{&unet_kind(),   &sd3_kind(),      &flux_kind(),
                              &pixart_kind(), &wan_vace_kind(), &wan_kind()};
  return all;
}

const DenoiserKind* denoiser_of_class(std::string_view class_name) {
  for (const auto* kind : denoiser_kinds())
    if (kind->class_name == class_name) return kind;
  return nullptr;
}

}  // namespace daguerre::weights

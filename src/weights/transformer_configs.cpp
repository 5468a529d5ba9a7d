#include "weights/transformer_configs.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include <nlohmann/json.hpp>

#include "weights/extents.hpp"
#include "weights/key_maps/names.hpp"

namespace daguerre::weights {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr const char* blocks = "transformer_blocks.";
constexpr const char* relative_bias = "layer.0.SelfAttention.relative_attention_bias.weight";

/// Latents have an eighth of the picture's sides.
constexpr int picture_to_latents = 8;

std::string in_block(int number, const char* rest) {
  return key_maps::joined_name(blocks, number, rest);
}

/// The width of a head that is normed, else `usual`.
Index head_width(const StateDict& weights, Index usual) {
  const auto name = in_block(0, "attn.norm_q.weight");
  return weights.contains(name) ? std::max<Index>(extent(weights, name, 0), 1) : usual;
}

Index rows_of(const StateDict& weights, const std::string& name) {
  return std::max<Index>(extent(weights, name, 0), 1);
}

}  // namespace

Config sd3_config(const StateDict& weights, const DenoiserFacts& facts, const std::string& source) {
  constexpr Index usual_head = 64;
  const Index width = rows_of(weights, "pos_embed.proj.weight");
  const Index patch = std::max<Index>(extent(weights, "pos_embed.proj.weight", 2), 1);
  const Index heads =
      facts.heads != 0 ? facts.heads : std::max<Index>(width / head_width(weights, usual_head), 1);
  const int layers = key_maps::count_numbered(weights, blocks);
  std::vector<int> dual;
  for (int i = 0; i < layers; ++i)
    if (weights.contains(in_block(i, "attn2.to_q.weight"))) dual.push_back(i);
  const Index positions = extent(weights, "pos_embed.pos_embed", 1);
  OrderedJson json{
      {"_class_name", "SD3Transformer2DModel"},
      {"_diffusers_version", "0.31.0"},
      {"sample_size", facts.picture_size / picture_to_latents},
      {"patch_size", patch},
      {"in_channels", extent(weights, "pos_embed.proj.weight", 1)},
      {"num_layers", layers},
      {"attention_head_dim", width / heads},
      {"num_attention_heads", heads},
      {"joint_attention_dim", extent(weights, "context_embedder.weight", 1)},
      {"caption_projection_dim", extent(weights, "context_embedder.weight", 0)},
      {"pooled_projection_dim", extent(weights, "time_text_embed.text_embedder.linear_1.weight", 1)},
      {"pos_embed_max_size", std::llround(std::sqrt(static_cast<double>(positions)))},
      {"dual_attention_layers", dual},
      {"qk_norm", nullptr}};
  // A ControlNet has none of its own.
  if (!weights.contains("controlnet_blocks.0.weight"))
    json["out_channels"] = extent(weights, "proj_out.weight", 0) / (patch * patch);
  if (weights.contains(in_block(0, "attn.norm_q.weight"))) json["qk_norm"] = "rms_norm";
  return Config::parse(json.dump(), source);
}

Config flux_config(const StateDict& weights, const DenoiserFacts& /*facts*/, const std::string& source) {
  constexpr Index usual_head = 128;
  const Index width = rows_of(weights, "x_embedder.weight");
  const Index head = head_width(weights, usual_head);
  const Index first_axis = head / 8, other_axes = (head - first_axis) / 2;
  OrderedJson json{
      {"_class_name", "FluxTransformer2DModel"},
      {"_diffusers_version", "0.31.0"},
      {"patch_size", 1},
      {"in_channels", extent(weights, "x_embedder.weight", 1)},
      {"num_layers", key_maps::count_numbered(weights, blocks)},
      {"num_single_layers", key_maps::count_numbered(weights, "single_transformer_blocks.")},
      {"attention_head_dim", head},
      {"num_attention_heads", std::max<Index>(width / head, 1)},
      {"joint_attention_dim", extent(weights, "context_embedder.weight", 1)},
      {"pooled_projection_dim", extent(weights, "time_text_embed.text_embedder.linear_1.weight", 1)},
      {"guidance_embeds", weights.contains("time_text_embed.guidance_embedder.linear_1.weight")},
      {"axes_dims_rope", {first_axis, other_axes, other_axes}}};
  if (!weights.contains("controlnet_blocks.0.weight"))  // which a ControlNet has instead
    json["out_channels"] = extent(weights, "proj_out.weight", 0);
  return Config::parse(json.dump(), source);
}

Config pixart_config(const StateDict& weights, const DenoiserFacts& facts, const std::string& source) {
  constexpr int usual_heads = 16, base_sample = 64;
  const Index width = rows_of(weights, "pos_embed.proj.weight");
  const Index patch = std::max<Index>(extent(weights, "pos_embed.proj.weight", 2), 1);
  const Index heads = facts.heads != 0 ? facts.heads : usual_heads;
  const int sample = facts.picture_size / picture_to_latents;
  const OrderedJson json{
      {"_class_name", "PixArtTransformer2DModel"},
      {"_diffusers_version", "0.31.0"},
      {"num_attention_heads", heads},
      {"attention_head_dim", width / heads},
      {"in_channels", extent(weights, "pos_embed.proj.weight", 1)},
      {"out_channels", extent(weights, "proj_out.weight", 0) / (patch * patch)},
      {"num_layers", key_maps::count_numbered(weights, blocks)},
      {"norm_num_groups", 32},
      {"cross_attention_dim", width},
      {"attention_bias", weights.contains(in_block(0, "attn1.to_q.bias"))},
      {"sample_size", sample},
      {"patch_size", patch},
      {"activation_fn", "gelu-approximate"},
      {"norm_type", "ada_norm_single"},
      {"norm_elementwise_affine", false},
      {"norm_eps", 1e-6},
      {"interpolation_scale", std::max(sample / base_sample, 1)},
      {"use_additional_conditions", weights.contains_below("adaln_single.emb.resolution_embedder.")},
      {"caption_channels", extent(weights, "caption_projection.linear_1.weight", 1)}};
  return Config::parse(json.dump(), source);
}

bool is_umt5(const StateDict& weights) {
  return weights.contains(key_maps::joined_name("encoder.block.", 1, relative_bias));
}

Config t5_config(const StateDict& weights, const std::string& source) {
  constexpr const char* layers = "encoder.block.";
  const auto in_first = [&](const char* rest) { return key_maps::joined_name(layers, 0, rest); };
  const bool gated = weights.contains(in_first("layer.1.DenseReluDense.wi_0.weight"));
  const bool each_layer = is_umt5(weights);
  const auto table = weights.contains("shared.weight") ? "shared.weight" : "encoder.embed_tokens.weight";
  const Index heads = std::max<Index>(extent(weights, in_first(relative_bias), 1), 1);
  const OrderedJson json{{"architectures", {each_layer ? "UMT5EncoderModel" : "T5EncoderModel"}},
                         {"model_type", each_layer ? "umt5" : "t5"},
                         {"vocab_size", extent(weights, table, 0)},
                         {"d_model", extent(weights, table, 1)},
                         {"d_kv", extent(weights, in_first("layer.0.SelfAttention.q.weight"), 0) / heads},
                         {"d_ff", extent(weights, in_first("layer.1.DenseReluDense.wo.weight"), 1)},
                         {"num_layers", key_maps::count_numbered(weights, layers)},
                         {"num_heads", heads},
                         {"relative_attention_num_buckets", extent(weights, in_first(relative_bias), 0)},
                         {"relative_attention_max_distance", 128},
                         {"layer_norm_epsilon", 1e-6},
                         {"feed_forward_proj", gated ? "gated-gelu" : "relu"},
                         {"eos_token_id", 1},
                         {"pad_token_id", 0}};
  return Config::parse(json.dump(), source);
}

}  // namespace daguerre::weights

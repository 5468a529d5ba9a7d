#include <algorithm>
#include <numeric>

#include "daguerre/models/denoisers/hunyuan_video_transformer-inl.hpp"

namespace daguerre::models {
namespace {

HunyuanVideoTransformerConfig::ImageCondition image_condition_of(const Config& config) {
  using ImageCondition = HunyuanVideoTransformerConfig::ImageCondition;
  const auto name = config.optional_string("image_condition_type");
  if (!name) return ImageCondition::none;
  if (*name == "latent_concat") return ImageCondition::latent_concat;
  if (*name == "token_replace") return ImageCondition::token_replace;
  throw ConfigError(detail::hunyuan_video_name, config.source() + ": image_condition_type \"" + *name +
                                                    "\", known are: latent_concat, token_replace");
}

}  // namespace

HunyuanVideoTransformerConfig HunyuanVideoTransformerConfig::from(const Config& config) {
  const char* who = detail::hunyuan_video_name;
  if (const auto name = config.class_name(); name != "HunyuanVideoTransformer3DModel")
    throw ConfigError(who,
                      config.source() + ": class \"" + name + "\" is not HunyuanVideoTransformer3DModel");
  HunyuanVideoTransformerConfig result;
  result.in_channels = config.get("in_channels", 16);
  const auto out_channels = config.has("out_channels") || config.is_null("out_channels")
                                ? config.optional_int("out_channels").value_or(0)
                                : 16;
  result.out_channels = out_channels != 0 ? out_channels : result.in_channels;
  result.num_attention_heads = config.get("num_attention_heads", 24);
  result.attention_head_dim = config.get("attention_head_dim", 128);
  result.num_layers = config.get("num_layers", 20);
  result.num_single_layers = config.get("num_single_layers", 40);
  result.num_refiner_layers = config.get("num_refiner_layers", 2);
  result.mlp_ratio = config.get("mlp_ratio", 4.0);
  result.patch_size = config.get("patch_size", 2);
  result.patch_size_t = config.get("patch_size_t", 1);
  config.expect("qk_norm", {"\"rms_norm\""});
  result.guidance_embeds = config.get("guidance_embeds", true);
  result.text_embed_dim = config.get("text_embed_dim", 4096);
  result.pooled_projection_dim = config.get("pooled_projection_dim", 768);
  result.rope_theta = config.get("rope_theta", 256.0);
  if (config.is_list("rope_axes_dim")) {
    const auto axes = config.require_ints("rope_axes_dim");
    result.rope_axes_dim.assign(axes.begin(), axes.end());
  }
  result.image_condition = image_condition_of(config);
  config.finish();

  const bool possible = result.in_channels > 0 && result.out_channels > 0 && result.num_attention_heads > 0 &&
                        result.attention_head_dim > 0 && result.num_layers >= 0 &&
                        result.num_single_layers >= 0 && result.num_refiner_layers >= 0 &&
                        result.mlp_dim() > 0 && result.patch_size > 0 && result.patch_size_t > 0 &&
                        result.text_embed_dim > 0 && result.pooled_projection_dim > 0 &&
                        result.rope_theta > 0.0;
  if (!possible)
    throw ConfigError(who,
                      config.source() + ": channels, heads, widths, ratios and patches must be positive");
  const auto& axes = result.rope_axes_dim;
  const bool even =
      std::all_of(axes.begin(), axes.end(), [](Index axis) { return axis > 0 && axis % 2 == 0; });
  if (axes.size() != 3 || !even ||
      std::accumulate(axes.begin(), axes.end(), Index{0}) != result.attention_head_dim)
    throw ConfigError(who, config.source() + ": rope_axes_dim must be three even numbers that add up to " +
                               std::to_string(result.attention_head_dim) + ", attention_head_dim");
  return result;
}

template class HunyuanTokenRefiner<float>;
template class HunyuanTokenRefiner<bfloat16>;
template class HunyuanVideoTransformer<float>;
template class HunyuanVideoTransformer<bfloat16>;

}  // namespace daguerre::models

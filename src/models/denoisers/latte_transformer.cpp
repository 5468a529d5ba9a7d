#include "daguerre/models/denoisers/latte_transformer-inl.hpp"

namespace daguerre::models {

LatteTransformerConfig LatteTransformerConfig::from(const Config& config) {
  const char* who = detail::latte_name;
  if (const auto name = config.class_name(); name != "LatteTransformer3DModel")
    throw ConfigError(who, config.source() + ": class \"" + name + "\" is not LatteTransformer3DModel");
  // Left by the picture's class that it was written from.
  for (const auto* key : {"only_cross_attention", "double_self_attention", "use_linear_projection"})
    config.expect(key, {"false"});
  config.expect("num_vector_embeds", {"null"});
  config.expect("attention_type", {"\"default\""});
  config.expect("norm_type", {"\"ada_norm_single\""});
  config.expect("norm_elementwise_affine", {"false"});
  // None of them changes the result: the norm has no groups and no table, softmax is float32 anyway.
  config.ignore({"dropout", "norm_num_groups", "num_embeds_ada_norm", "upcast_attention"});
  LatteTransformerConfig result;
  result.num_attention_heads = config.get("num_attention_heads", 16);
  result.attention_head_dim = config.get("attention_head_dim", 88);
  result.in_channels = config.require_int("in_channels");
  result.out_channels = config.optional_int("out_channels").value_or(static_cast<int>(result.in_channels));
  result.num_layers = config.get("num_layers", 1);
  result.cross_attention_dim = config.require_int("cross_attention_dim");
  result.attention_bias = config.get("attention_bias", false);
  result.sample_size = config.get("sample_size", 64);
  result.patch_size = config.require_int("patch_size");
  result.activation_fn = config.get("activation_fn", "geglu");
  result.norm_eps = static_cast<float>(config.get("norm_eps", 1e-5));
  result.caption_channels = config.require_int("caption_channels");
  result.video_length = config.get("video_length", 16);
  config.finish();

  const bool possible = result.num_attention_heads > 0 && result.attention_head_dim > 0 &&
                        result.in_channels > 0 && result.out_channels > 0 && result.num_layers > 0 &&
                        result.sample_size > 0 && result.patch_size > 0 && result.caption_channels > 0 &&
                        result.video_length > 0 && result.sample_size % result.patch_size == 0 &&
                        result.dim() % 4 == 0;
  if (!possible)
    throw ConfigError(who, config.source() +
                               ": heads, channels, layers and sizes must be positive, the patch size must "
                               "divide sample_size, and 4 the width of a token");
  if (result.cross_attention_dim != result.dim())
    throw ConfigError(who, config.source() + ": cross_attention_dim is " +
                               std::to_string(result.cross_attention_dim) + ", the projected prompt is " +
                               std::to_string(result.dim()) + " wide");
  return result;
}

template class LatteTransformer<float>;
template class LatteTransformer<bfloat16>;

}  // namespace daguerre::models

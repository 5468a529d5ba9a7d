#include <algorithm>

#include "daguerre/models/denoisers/pixart_transformer-inl.hpp"

namespace daguerre::models {
namespace {

constexpr const char* pixart_name = "pixart";
constexpr const char* pixart_class = "PixArtTransformer2DModel";
/// Files from before diffusers 0.30 bear the name of the class that several transformers then were.
constexpr const char* pixart_old_class = "Transformer2DModel";

/// The size from which on models of the paper read the picture's size.
constexpr Index pixart_large_sample = 128;

}  // namespace

bool PixArtTransformerConfig::is_old(const Config& config) {
  return config.class_name() == pixart_old_class && config.has("caption_channels");
}

PixArtTransformerConfig PixArtTransformerConfig::from(const Config& config) {
  if (const auto name = config.class_name(); name != pixart_class && !is_old(config))
    throw ConfigError(pixart_name, config.source() + ": class \"" + name + "\" is not " + pixart_class);
  if (is_old(config)) {
    for (const auto* key : {"only_cross_attention", "double_self_attention", "use_linear_projection"})
      config.expect(key, {"false"});
    config.expect("num_vector_embeds", {"null"});
  }
  config.expect("norm_type", {"\"ada_norm_single\""});
  config.expect("norm_elementwise_affine", {"false"});
  config.expect("attention_type", {"\"default\""});
  // None of them changes the result: the norm has no groups and no table, softmax is float32 anyway.
  config.ignore({"dropout", "norm_num_groups", "num_embeds_ada_norm", "upcast_attention"});
  PixArtTransformerConfig result;
  result.num_attention_heads = config.get("num_attention_heads", 16);
  result.attention_head_dim = config.get("attention_head_dim", 72);
  result.in_channels = config.get("in_channels", 4);
  result.out_channels = config.optional_int("out_channels").value_or(static_cast<int>(result.in_channels));
  result.num_layers = config.get("num_layers", 28);
  result.cross_attention_dim = config.get("cross_attention_dim", 1152);
  result.attention_bias = config.get("attention_bias", true);
  result.sample_size = config.get("sample_size", 128);
  result.patch_size = config.get("patch_size", 2);
  result.activation_fn = config.get("activation_fn", "gelu-approximate");
  result.norm_eps = static_cast<float>(config.get("norm_eps", 1e-6));
  result.interpolation_scale =
      config.optional_double("interpolation_scale")
          .value_or(static_cast<double>(std::max<Index>(result.sample_size / 64, 1)));
  const bool says_so = config.has("use_additional_conditions");
  result.use_additional_conditions =
      says_so ? config.get("use_additional_conditions", false) : result.sample_size == pixart_large_sample;
  result.caption_channels = config.require_int("caption_channels");
  config.finish();

  const bool possible = result.num_attention_heads > 0 && result.attention_head_dim > 0 &&
                        result.in_channels > 0 && result.out_channels > 0 && result.num_layers > 0 &&
                        result.sample_size > 0 && result.patch_size > 0 && result.caption_channels > 0 &&
                        result.interpolation_scale > 0.0 && result.sample_size % result.patch_size == 0 &&
                        result.dim() % 4 == 0;
  if (!possible)
    throw ConfigError(pixart_name,
                      config.source() +
                          ": heads, channels, layers, sizes and scales must be positive, the patch size must "
                          "divide sample_size, and 4 the width of a token");
  if (result.cross_attention_dim != result.dim())
    throw ConfigError(pixart_name, config.source() + ": cross_attention_dim is " +
                                       std::to_string(result.cross_attention_dim) +
                                       ", the projected prompt is " + std::to_string(result.dim()) + " wide");
  return result;
}

template class PixArtTransformer<float>;
template class PixArtTransformer<bfloat16>;

}  // namespace daguerre::models

#include "daguerre/models/denoisers/ltx_transformer-inl.hpp"

namespace daguerre::models {
namespace {

constexpr const char* ltx_name = "ltx";
constexpr const char* ltx_class = "LTXVideoTransformer3DModel";

}  // namespace

LTXTransformerConfig LTXTransformerConfig::from(const Config& config) {
  if (const auto name = config.class_name(); name != ltx_class)
    throw ConfigError(ltx_name, config.source() + ": class \"" + name + "\" is not " + ltx_class);
  // Tokens are single latents.
  config.expect("patch_size", {"1"});
  config.expect("patch_size_t", {"1"});
  config.expect("qk_norm", {"\"rms_norm_across_heads\""});
  config.expect("norm_elementwise_affine", {"false"});
  LTXTransformerConfig result;
  result.in_channels = config.get("in_channels", 128);
  result.out_channels = config.optional_int("out_channels").value_or(static_cast<int>(result.in_channels));
  result.num_attention_heads = config.get("num_attention_heads", 32);
  result.attention_head_dim = config.get("attention_head_dim", 64);
  result.cross_attention_dim = config.get("cross_attention_dim", 2048);
  result.num_layers = config.get("num_layers", 28);
  result.activation_fn = config.get("activation_fn", "gelu-approximate");
  result.norm_eps = static_cast<float>(config.get("norm_eps", 1e-6));
  result.caption_channels = config.get("caption_channels", 4096);
  result.attention_bias = config.get("attention_bias", true);
  result.attention_out_bias = config.get("attention_out_bias", true);
  config.finish();

  const bool possible = result.in_channels > 0 && result.out_channels > 0 && result.num_attention_heads > 0 &&
                        result.attention_head_dim > 0 && result.num_layers > 0 &&
                        result.caption_channels > 0 && result.norm_eps > 0.0f;
  if (!possible)
    throw ConfigError(ltx_name, config.source() + ": channels, heads, layers and norm_eps must be positive");
  if (result.dim() % 2 != 0 || result.dim() < 6)
    throw ConfigError(ltx_name, config.source() + ": tokens of " + std::to_string(result.dim()) +
                                    " channels have no pairs to be turned for each of three axes");
  if (result.cross_attention_dim != result.dim())
    throw ConfigError(ltx_name, config.source() + ": cross_attention_dim is " +
                                    std::to_string(result.cross_attention_dim) +
                                    ", the projected prompt is " + std::to_string(result.dim()) + " wide");
  return result;
}

template class LTXTransformer<float>;
template class LTXTransformer<bfloat16>;

}  // namespace daguerre::models

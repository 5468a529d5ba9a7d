#include "daguerre/models/denoisers/sd3_transformer-inl.hpp"

namespace daguerre::models {

SD3TransformerConfig SD3TransformerConfig::from(const Config& config) {
  if (const auto name = config.class_name(); name != "SD3Transformer2DModel")
    throw ConfigError("sd3", config.source() + ": class \"" + name + "\" is not SD3Transformer2DModel");
  return of_any_class(config);
}

SD3TransformerConfig SD3TransformerConfig::of_any_class(const Config& config) {
  constexpr const char* who = "sd3";
  SD3TransformerConfig result;
  result.sample_size = config.get("sample_size", 128);
  result.patch_size = config.get("patch_size", 2);
  result.in_channels = config.get("in_channels", 16);
  result.out_channels = config.optional_int("out_channels").value_or(static_cast<int>(result.in_channels));
  result.num_layers = config.get("num_layers", 18);
  result.attention_head_dim = config.get("attention_head_dim", 64);
  result.num_attention_heads = config.get("num_attention_heads", 18);
  result.joint_attention_dim = config.get("joint_attention_dim", 4096);
  result.pooled_projection_dim = config.get("pooled_projection_dim", 2048);
  result.pos_embed_max_size = config.get("pos_embed_max_size", 96);
  if (config.is_list("dual_attention_layers"))
    result.dual_attention_layers = config.require_ints("dual_attention_layers");
  config.expect("qk_norm", {"null", "\"rms_norm\""});
  result.has_qk_norm = config.has("qk_norm");
  const Index prompt_dim = config.get("caption_projection_dim", 1152);
  config.finish();

  const bool possible = result.sample_size > 0 && result.patch_size > 0 && result.in_channels > 0 &&
                        result.out_channels > 0 && result.num_layers > 0 && result.attention_head_dim > 0 &&
                        result.num_attention_heads > 0 && result.joint_attention_dim > 0 &&
                        result.pooled_projection_dim > 0 && result.pos_embed_max_size > 0 &&
                        result.sample_size % result.patch_size == 0 && result.dim() % 4 == 0;
  if (!possible)
    throw ConfigError(who, config.source() +
                               ": sizes, channels, layers and heads must be positive, the patch size must "
                               "divide sample_size, and 4 the width of a token");
  if (prompt_dim != result.dim())
    throw ConfigError(who, config.source() + ": caption_projection_dim is " + std::to_string(prompt_dim) +
                               ", tokens of the picture are " + std::to_string(result.dim()) +
                               " wide; both must be the same");
  return result;
}

nn::JointTransformerOptions SD3TransformerConfig::block(int index) const {
  nn::JointTransformerOptions result{
      .dim = dim(), .num_attention_heads = num_attention_heads, .attention_head_dim = attention_head_dim};
  if (has_qk_norm) result.qk_norm = nn::query_key_norm_called("rms_norm", true, 1e-6f);
  const auto& dual = dual_attention_layers;
  result.use_dual_attention = std::find(dual.begin(), dual.end(), index) != dual.end();
  return result;
}

template class SD3Embedder<float>;
template class SD3Embedder<bfloat16>;
template class SD3Transformer<float>;
template class SD3Transformer<bfloat16>;

}  // namespace daguerre::models

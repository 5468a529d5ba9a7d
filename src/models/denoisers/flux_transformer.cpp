#include <numeric>

#include "daguerre/models/denoisers/flux_transformer-inl.hpp"

namespace daguerre::models {

FluxTransformerConfig FluxTransformerConfig::from(const Config& config) {
  if (const auto name = config.class_name(); name != "FluxTransformer2DModel")
    throw ConfigError("flux", config.source() + ": class \"" + name + "\" is not FluxTransformer2DModel");
  return of_any_class(config);
}

FluxTransformerConfig FluxTransformerConfig::of_any_class(const Config& config) {
  constexpr const char* who = "flux";
  FluxTransformerConfig result;
  config.expect("patch_size", {"1"});  // tokens are patches already
  result.in_channels = config.get("in_channels", 64);
  result.out_channels = config.optional_int("out_channels").value_or(static_cast<int>(result.in_channels));
  result.num_layers = config.get("num_layers", 19);
  result.num_single_layers = config.get("num_single_layers", 38);
  result.attention_head_dim = config.get("attention_head_dim", 128);
  result.num_attention_heads = config.get("num_attention_heads", 24);
  result.joint_attention_dim = config.get("joint_attention_dim", 4096);
  result.pooled_projection_dim = config.get("pooled_projection_dim", 768);
  result.guidance_embeds = config.get("guidance_embeds", false);
  if (config.is_list("axes_dims_rope")) {
    const auto axes = config.require_ints("axes_dims_rope");
    result.axes_dims_rope.assign(axes.begin(), axes.end());
  }
  config.finish();

  const bool possible = result.in_channels > 0 && result.out_channels > 0 && result.num_layers >= 0 &&
                        result.num_single_layers >= 0 && result.attention_head_dim > 0 &&
                        result.num_attention_heads > 0 && result.joint_attention_dim > 0 &&
                        result.pooled_projection_dim > 0;
  if (!possible) throw ConfigError(who, config.source() + ": channels, heads and widths must be positive");
  const auto& axes = result.axes_dims_rope;
  const bool even =
      std::all_of(axes.begin(), axes.end(), [](Index axis) { return axis > 0 && axis % 2 == 0; });
  if (!even || std::accumulate(axes.begin(), axes.end(), Index{0}) != result.attention_head_dim)
    throw ConfigError(who, config.source() + ": axes_dims_rope must be even and add up to " +
                               std::to_string(result.attention_head_dim) + ", attention_head_dim");
  return result;
}

template class FluxTrunk<float>;
template class FluxTrunk<bfloat16>;
template class FluxTransformer<float>;
template class FluxTransformer<bfloat16>;

}  // namespace daguerre::models

#include "daguerre/models/adapters/sd3_control_net-inl.hpp"

namespace daguerre::models {

SD3ControlNetConfig SD3ControlNetConfig::from(const Config& config) {
  constexpr const char* who = "sd3_controlnet";
  if (const auto name = config.class_name(); name != "SD3ControlNetModel")
    throw ConfigError(who, config.source() + ": class \"" + name + "\" is not SD3ControlNetModel");
  SD3ControlNetConfig result;
  config.expect("extra_conditioning_channels", {"0"});  // a mask's, of in-painting ones
  config.expect("pos_embed_type", {"\"sincos\""});
  config.expect("use_pos_embed", {"true"});
  if (config.is_null("joint_attention_dim"))
    throw ConfigError(who, config.source() +
                               ": joint_attention_dim is null: ControlNets without a prompt "
                               "are not supported");
  result.zeroes_pooled = config.get("force_zeros_for_pooled_projection", true);
  result.transformer = SD3TransformerConfig::of_any_class(
      config.without({"extra_conditioning_channels", "pos_embed_type", "use_pos_embed",
                      "force_zeros_for_pooled_projection"}));
  return result;
}

template class SD3ControlNet<float>;
template class SD3ControlNet<bfloat16>;

}  // namespace daguerre::models

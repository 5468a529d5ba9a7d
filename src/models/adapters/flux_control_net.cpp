#include "daguerre/models/adapters/flux_control_net-inl.hpp"

namespace daguerre::models {

FluxControlNetConfig FluxControlNetConfig::from(const Config& config) {
  constexpr const char* who = "flux_controlnet";
  if (const auto name = config.class_name(); name != "FluxControlNetModel")
    throw ConfigError(who, config.source() + ": class \"" + name + "\" is not FluxControlNetModel");
  FluxControlNetConfig result;
  result.num_mode = config.optional_int("num_mode").value_or(0);
  const auto hint = config.optional_int("conditioning_embedding_channels");
  result.transformer =
      FluxTransformerConfig::of_any_class(config.without({"num_mode", "conditioning_embedding_channels"}));
  if (hint) {
    result.picture = ConditioningPictureOptions{.channels = {16, 16, 16, 16}, .out_channels = *hint};
    if (*hint < 1 || checked_multiply(4, *hint) != result.transformer.in_channels)
      throw ConfigError(who, config.source() + ": conditioning_embedding_channels is " +
                                 std::to_string(*hint) + ", expected a quarter of in_channels, " +
                                 std::to_string(result.transformer.in_channels));
  }
  if (result.num_mode < 0 || result.num_mode > 100000)
    throw ConfigError(who, config.source() + ": num_mode is " + std::to_string(result.num_mode));
  return result;
}

template class FluxControlNet<float>;
template class FluxControlNet<bfloat16>;

}  // namespace daguerre::models

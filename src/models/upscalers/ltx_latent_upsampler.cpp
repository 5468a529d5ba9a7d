#include "daguerre/models/upscalers/ltx_latent_upsampler-inl.hpp"

namespace daguerre::models {

LTXLatentUpsamplerConfig LTXLatentUpsamplerConfig::from(const Config& config) {
  constexpr const char *who = "ltx_latent_upsampler", *class_name = "LTXLatentUpsamplerModel";
  if (const auto name = config.class_name(); name != class_name)
    throw ConfigError(who, config.source() + ": class \"" + name + "\" is not " + class_name);
  LTXLatentUpsamplerConfig result;
  result.in_channels = config.get("in_channels", 128);
  result.mid_channels = config.get("mid_channels", 512);
  result.num_blocks_per_stage = config.get("num_blocks_per_stage", 4);
  config.expect("dims", {"2", "3"});
  result.frames_apart = config.get("dims", 3) == 2;
  result.spatial_upsample = config.get("spatial_upsample", true);
  result.temporal_upsample = config.get("temporal_upsample", false);
  config.finish();
  if (result.in_channels < 1 || result.mid_channels < 1 || result.num_blocks_per_stage < 0)
    throw ConfigError(who, config.source() + ": channels must be positive, and there is no number of " +
                               std::to_string(result.num_blocks_per_stage) + " blocks");
  if (!result.spatial_upsample && !result.temporal_upsample)
    throw ConfigError(who, config.source() + ": neither spatial_upsample nor temporal_upsample is set");
  if (result.temporal_upsample && result.frames_apart)
    throw ConfigError(who, config.source() + ": frames that are apart (dims 2) cannot be doubled");
  return result;
}

template class LTXLatentUpsampler<float>;
template class LTXLatentUpsampler<bfloat16>;

}  // namespace daguerre::models

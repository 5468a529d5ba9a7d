#include <nlohmann/json.hpp>

#include "daguerre/models/adapters/control_net-inl.hpp"

namespace daguerre::models {
namespace {

/// "CrossAttnDownBlock2D" to "CrossAttnUpBlock2D": what a U-Net has on the other side.
std::string way_up(std::string type) {
  if (const auto at = type.find("Down"); at != type.npos) type.replace(at, 4, "Up");
  return type;
}

}  // namespace

ControlNetConfig ControlNetConfig::from(const Config& config) {
  constexpr const char* who = "controlnet";
  if (const auto name = config.class_name(); name != "ControlNetModel")
    throw ConfigError(who, config.source() + ": class \"" + name + "\" is not ControlNetModel");
  ControlNetConfig result;
  auto& picture = result.picture;
  picture.in_channels = config.get("conditioning_channels", 3);
  config.expect("controlnet_conditioning_channel_order", {"\"rgb\"", "\"bgr\""});
  picture.bgr = config.get("controlnet_conditioning_channel_order", "rgb") == "bgr";
  if (config.is_list("conditioning_embedding_out_channels")) {
    const auto channels = config.require_ints("conditioning_embedding_out_channels");
    picture.channels.assign(channels.begin(), channels.end());
  }
  result.global_pool_conditions = config.get("global_pool_conditions", false);

  std::vector<std::string> down{"CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D",
                                "DownBlock2D"};
  if (config.is_list("down_block_types")) down = config.require_strings("down_block_types");
  nlohmann::json changes;
  changes["down_block_types"] = down;
  for (auto type = down.rbegin(); type != down.rend(); ++type)
    changes["up_block_types"].push_back(way_up(*type));
  if (!config.is_list("block_out_channels")) changes["block_out_channels"] = {320, 640, 1280, 1280};
  result.unet = UNet2DConditionConfig::of_any_class(
      config
          .without({"conditioning_channels", "controlnet_conditioning_channel_order",
                    "conditioning_embedding_out_channels", "global_pool_conditions"})
          .with(changes.dump()));
  picture.out_channels = result.unet.shape.levels.front().channels;

  const auto& channels = picture.channels;
  const bool possible = picture.in_channels >= 1 && picture.in_channels <= 1024 && !channels.empty() &&
                        channels.size() <= 16 &&
                        std::all_of(channels.begin(), channels.end(), [](Index n) { return n >= 1; });
  if (!possible)
    throw ConfigError(who, config.source() +
                               ": conditioning_channels and conditioning_embedding_out_channels must be "
                               "positive, the latter 1 to 16 numbers");
  if (!result.unet.shape.mid) throw ConfigError(who, config.source() + ": mid_block_type is null");
  for (const auto& level : result.unet.shape.levels)
    if (level.down.kind != UNetBlockShape::Kind::residual)
      throw ConfigError(who, config.source() + ": blocks with K or Skip in their name have no ControlNet");
  return result;
}

template class ControlNet<float>;
template class ControlNet<bfloat16>;

}  // namespace daguerre::models

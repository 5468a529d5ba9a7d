#include <nlohmann/json.hpp>

#include "daguerre/models/adapters/control_net-inl.hpp"
#include "models/denoisers/unet_motion_config.hpp"

namespace daguerre::models {
namespace {

constexpr const char* control_net_name = "controlnet";

/// "CrossAttnDownBlock2D" to "CrossAttnUpBlock2D": what a U-Net has on the other side.
std::string way_up(std::string type) {
  if (const auto at = type.find("Down"); at != type.npos) type.replace(at, 4, "Up");
  return type;
}

/// The blocks on the way down, and those that a U-Net has on the other side.
Config with_ways(const Config& config, bool sparse) {
  const std::string last = sparse ? "DownBlockMotion" : "DownBlock2D", attends = "CrossAttn" + last;
  std::vector<std::string> down{attends, attends, attends, last};
  if (config.is_list("down_block_types")) down = config.require_strings("down_block_types");
  nlohmann::json changes;
  changes["down_block_types"] = down;
  for (auto type = down.rbegin(); type != down.rend(); ++type)
    changes["up_block_types"].push_back(way_up(*type));
  if (!config.is_list("block_out_channels")) changes["block_out_channels"] = {320, 640, 1280, 1280};
  return config.with(changes.dump());
}

/// What both kinds have: reads the picture's options, of which the keys are then left out.
Config read_picture(const Config& config, ControlNetConfig& result) {
  auto& picture = result.picture;
  picture.in_channels = config.get("conditioning_channels", result.sparse ? 4 : 3);
  config.expect("controlnet_conditioning_channel_order", {"\"rgb\"", "\"bgr\""});
  picture.bgr = config.get("controlnet_conditioning_channel_order", "rgb") == "bgr";
  if (config.is_list("conditioning_embedding_out_channels")) {
    const auto channels = config.require_ints("conditioning_embedding_out_channels");
    picture.channels.assign(channels.begin(), channels.end());
  }
  result.global_pool_conditions = config.get("global_pool_conditions", false);
  return with_ways(config.without({"conditioning_channels", "controlnet_conditioning_channel_order",
                                   "conditioning_embedding_out_channels", "global_pool_conditions"}),
                   result.sparse);
}

void check_control_net(const Config& config, const ControlNetConfig& result) {
  const auto& picture = result.picture;
  const auto& channels = picture.channels;
  const bool possible = picture.in_channels >= 1 && picture.in_channels <= 1024 && !channels.empty() &&
                        channels.size() <= 16 &&
                        std::all_of(channels.begin(), channels.end(), [](Index n) { return n >= 1; });
  if (!possible)
    throw ConfigError(control_net_name,
                      config.source() +
                          ": conditioning_channels and conditioning_embedding_out_channels must be "
                          "positive, the latter 1 to 16 numbers");
  if (!result.unet.shape.mid)
    throw ConfigError(control_net_name, config.source() + ": mid_block_type is null");
  for (const auto& level : result.unet.shape.levels)
    if (level.down.kind != UNetBlockShape::Kind::residual)
      throw ConfigError(control_net_name,
                        config.source() + ": blocks with K or Skip in their name have no ControlNet");
}

ControlNetConfig sparse_control_net(const Config& config) {
  ControlNetConfig result;
  config.expect("concat_conditioning_mask", {"true"});
  result.sparse = true;
  result.reads_latents = config.get("use_simplified_condition_embedding", true);
  const auto unet = read_picture(
      config.without({"concat_conditioning_mask", "use_simplified_condition_embedding"}), result);
  result.unet = UNet2DConditionConfig::of_any_class(unet_of_pictures(unet));
  add_motion_modules(unet, MotionPlaces::way_down, result.unet.shape);
  result.unet.most_frames = result.unet.shape.levels.front().down.motion.positions;
  result.picture.plain = result.reads_latents;
  result.picture.in_channels += 1;
  result.picture.out_channels = result.unet.shape.levels.front().channels;
  check_control_net(config, result);
  return result;
}

}  // namespace

ControlNetConfig ControlNetConfig::from(const Config& config) {
  const auto name = config.class_name();
  if (name == "SparseControlNetModel") return sparse_control_net(config);
  if (name != "ControlNetModel")
    throw ConfigError(control_net_name, config.source() + ": class \"" + name +
                                            "\" is neither ControlNetModel nor SparseControlNetModel");
  ControlNetConfig result;
  result.unet = UNet2DConditionConfig::of_any_class(read_picture(config, result));
  result.picture.out_channels = result.unet.shape.levels.front().channels;
  check_control_net(config, result);
  return result;
}

template class ControlNet<float>;
template class ControlNet<bfloat16>;

}  // namespace daguerre::models

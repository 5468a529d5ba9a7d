#include "weights/control_configs.hpp"

#include <vector>

#include <nlohmann/json.hpp>

#include "weights/extents.hpp"
#include "weights/key_maps/names.hpp"
#include "weights/shape_configs.hpp"
#include "weights/transformer_configs.hpp"

namespace daguerre::weights {
namespace {

using OrderedJson = nlohmann::ordered_json;

/// Of the maps that a conditioning picture goes through.
std::vector<Index> conditioning_channels(const StateDict& weights, const std::string& prefix) {
  std::vector<Index> result{extent(weights, prefix + "conv_in.weight", 0)};
  const int blocks = key_maps::count_numbered(weights, prefix + "blocks.");
  for (int i = 1; i < blocks; i += 2)
    result.push_back(extent(weights, key_maps::joined_name(prefix + "blocks.", i, "weight"), 0));
  return result;
}

Config control_net_config(const StateDict& weights, const std::string& source) {
  const std::string picture = "controlnet_cond_embedding.";
  bool linear = false;
  for (const auto& name : weights.names())
    if (name.ends_with(".proj_in.weight")) linear = weights.shape(name).rank() == 2;
  const DenoiserFacts facts{.picture_size = 512, .heads = linear ? 0 : 8};
  const OrderedJson changes{{"_class_name", "ControlNetModel"},
                            {"conditioning_channels", extent(weights, picture + "conv_in.weight", 1)},
                            {"conditioning_embedding_out_channels", conditioning_channels(weights, picture)}};
  return unet_config(weights, facts, source).with(changes.dump());
}

Config t2i_adapter_config(const StateDict& weights, Index space_ratio, const std::string& source) {
  const std::string body = "adapter.body.", first = body + "0.in_conv.weight";
  const bool light = weights.contains(body + "0.out_conv.weight");
  const int blocks = key_maps::count_numbered(weights, body);
  std::vector<Index> channels;
  for (int i = 0; i < (light ? blocks - 1 : blocks); ++i)
    channels.push_back(extent(
        weights, key_maps::joined_name(body, i, light ? "out_conv.weight" : "resnets.0.block1.weight"), 0));
  // The picture's squares as channels: of three colours or of one.
  const Index input = extent(weights, light ? first : "adapter.conv_in.weight", 1);
  const auto side_of = [](Index area) {
    Index side = 1;
    while ((side + 1) * (side + 1) <= area && side < 256) ++side;
    return side * side == area ? side : 0;
  };
  Index colours = 3, side = input % 3 == 0 ? side_of(input / 3) : 0;
  if (side == 0) {
    colours = 1;
    side = side_of(input);
  }
  if (side == 0)
    throw ConfigError(weights_name,
                      source + ": " + std::to_string(input) +
                          " channels go in, which are no squares of pixels of one or three colours");
  const char* const type = light                     ? "light_adapter"
                           : side == 2 * space_ratio ? "full_adapter_xl"
                                                     : "full_adapter";
  const OrderedJson json{{"_class_name", "T2IAdapter"},
                         {"in_channels", colours},
                         {"channels", channels},
                         {"num_res_blocks", key_maps::count_numbered(weights, body + "0.resnets.")},
                         {"downscale_factor", side},
                         {"adapter_type", type}};
  return Config::parse(json.dump(), source);
}

Config sd3_control_net_config(const StateDict& weights, const std::string& source) {
  const Index channels = extent(weights, "pos_embed.proj.weight", 1);
  const OrderedJson changes{
      {"_class_name", "SD3ControlNetModel"},
      {"extra_conditioning_channels", extent(weights, "pos_embed_input.proj.weight", 1) - channels}};
  return sd3_config(weights, {.picture_size = 1024}, source).with(changes.dump());
}

Config flux_control_net_config(const StateDict& weights, const std::string& source) {
  OrderedJson changes{{"_class_name", "FluxControlNetModel"}};
  constexpr const char* modes = "controlnet_mode_embedder.weight";
  if (weights.contains(modes)) changes["num_mode"] = extent(weights, modes, 0);
  constexpr const char* hint = "input_hint_block.conv_out.weight";
  if (weights.contains(hint)) changes["conditioning_embedding_channels"] = extent(weights, hint, 0);
  return flux_config(weights, {}, source).with(changes.dump());
}

}  // namespace

std::optional<Config> control_config(const StateDict& weights, Index space_ratio, const std::string& source) {
  if (weights.contains("controlnet_cond_embedding.conv_in.weight"))
    return control_net_config(weights, source);
  if (weights.contains("adapter.body.0.resnets.0.block1.weight"))
    return t2i_adapter_config(weights, space_ratio, source);
  if (weights.contains("pos_embed_input.proj.weight")) return sd3_control_net_config(weights, source);
  if (weights.contains("controlnet_x_embedder.weight")) return flux_control_net_config(weights, source);
  return std::nullopt;
}

}  // namespace daguerre::weights

#include "weights/motion_config.hpp"

#include <nlohmann/json.hpp>

#include "weights/extents.hpp"
#include "weights/key_maps/names.hpp"

namespace daguerre::weights {
namespace {

constexpr const char* motion_list = ".motion_modules.";
constexpr const char* motion_block_list = "0.transformer_blocks.";

}  // namespace

Config motion_adapter_config(const StateDict& weights, const std::string& source) {
  using key_maps::count_numbered;
  nlohmann::ordered_json json{{"_class_name", "MotionAdapter"}};
  const int levels = std::max(count_numbered(weights, "down_blocks."), 1);
  for (int i = 0; i < levels; ++i)
    json["block_out_channels"].push_back(
        extent(weights, "down_blocks." + std::to_string(i) + motion_list + "0.norm.weight", 0));
  const std::string first = std::string("down_blocks.0") + motion_list,
                    middle = std::string("mid_block") + motion_list;
  json["motion_layers_per_block"] = count_numbered(weights, first);
  json["motion_transformer_layers_per_block"] = count_numbered(weights, first + motion_block_list);
  json["use_motion_mid_block"] = weights.contains_below(middle);
  if (weights.contains_below(middle)) {
    json["motion_mid_block_layers_per_block"] = count_numbered(weights, middle);
    json["motion_transformer_layers_per_mid_block"] = count_numbered(weights, middle + motion_block_list);
  }
  json["motion_max_seq_length"] = extent(weights, first + motion_block_list + "0.pos_embed.pe", 1);
  if (weights.contains("conv_in.weight")) json["conv_in_channels"] = extent(weights, "conv_in.weight", 1);
  return Config::parse(json.dump(), source);
}

}  // namespace daguerre::weights

#include "models/denoisers/unet_motion_config.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "models/denoisers/unet_block_types.hpp"

namespace daguerre::models {
namespace {

/// "CrossAttnDownBlockMotion" to "CrossAttnDownBlock2D".
std::vector<std::string> picture_types(const Config& config, const char* key) {
  auto types = config.require_strings(key);
  for (auto& type : types) {
    constexpr std::string_view end = "BlockMotion";
    if (!type.ends_with(end))
      refuse_unet(config,
                  "block type \"" + type + "\" in " + key +
                      " is not supported; supported are those of U-Nets with Motion in the place of 2D");
    type.replace(type.size() - 6, 6, "2D");
  }
  return types;
}

UNetBlockShape::Motion motion_of(const Config& config, Index channels, int heads,
                                 const std::vector<int>& layers, int count) {
  UNetBlockShape::Motion result;
  result.heads = heads;
  result.positions = config.get("motion_max_seq_length", 32);
  result.layers = layers;
  const auto wanted = static_cast<std::size_t>(count);
  if (layers.size() == 1) result.layers.assign(wanted, layers.front());
  const bool possible =
      heads >= 1 && channels % heads == 0 && channels % 2 == 0 && result.positions >= 1 &&
      result.layers.size() >= wanted &&
      std::all_of(result.layers.begin(), result.layers.end(), [](int n) { return n >= 1 && n <= 1000; });
  if (!possible)
    refuse_unet(config,
                "motion modules of " + std::to_string(heads) + " heads on " + std::to_string(channels) +
                    " channels with " + std::to_string(result.positions) +
                    " positions are not possible: heads must divide the channels, which are even, and "
                    "each layer has a positive number of transformers");
  return result;
}

std::vector<std::string> unet_motion_keys() {
  return {"motion_max_seq_length",
          "motion_num_attention_heads",
          "reverse_motion_num_attention_heads",
          "use_motion_mid_block",
          "temporal_transformer_layers_per_block",
          "reverse_temporal_transformer_layers_per_block",
          "temporal_transformer_layers_per_mid_block",
          "transformer_layers_per_mid_block",
          "mid_block_layers"};
}

}  // namespace

Config unet_of_pictures(const Config& config) {
  nlohmann::json changes;
  for (const char* key : {"down_block_types", "up_block_types"})
    if (config.is_list(key)) changes[key] = picture_types(config, key);
  if (!config.has("num_attention_heads") && !config.has("attention_head_dim"))
    changes["num_attention_heads"] = 8;
  return config.without(unet_motion_keys()).with(changes.is_null() ? "{}" : changes.dump());
}

void add_motion_modules(const Config& config, MotionPlaces places, UNet2DShape& shape) {
  using Temporal = UNetBlockShape::Temporal;
  const std::size_t count = shape.levels.size();
  const auto heads = config.int_or_list("motion_num_attention_heads", count, 8);
  const auto layers = config.int_or_lists("temporal_transformer_layers_per_block", count, 1);
  // From the innermost level outwards.
  auto up_heads = heads;
  auto up_layers = layers;
  std::reverse(up_heads.begin(), up_heads.end());
  std::reverse(up_layers.begin(), up_layers.end());
  if (config.has("reverse_motion_num_attention_heads"))
    up_heads = config.int_or_list("reverse_motion_num_attention_heads", count, 8);
  if (config.has("reverse_temporal_transformer_layers_per_block"))
    up_layers = config.int_or_lists("reverse_temporal_transformer_layers_per_block", count, 1);
  for (std::size_t i = 0; i < count; ++i) {
    auto& level = shape.levels[i];
    for (auto* block : {&level.down, &level.up}) {
      if (block->kind != UNetBlockShape::Kind::residual)
        refuse_unet(config, "blocks with K or Skip in their name have no motion modules");
      if (block == &level.up && places == MotionPlaces::way_down) continue;
      const bool down = block == &level.down;
      block->temporal = Temporal::modules;
      block->motion = motion_of(config, level.channels, down ? heads[i] : up_heads[count - 1 - i],
                                down ? layers[i] : up_layers[count - 1 - i], block->layers);
      block->motion.attends_twice = places == MotionPlaces::everywhere;
    }
  }
  if (!shape.mid) refuse_unet(config, "a U-Net with motion modules has a middle block");
  shape.mid->layers = config.get("mid_block_layers", 1);
  if (shape.mid->layers < 1 || shape.mid->layers > 1000)
    refuse_unet(config, "mid_block_layers must be positive");
  auto mid_layers = shape.mid->transformer_layers;
  if (config.has("transformer_layers_per_mid_block"))
    mid_layers = config.is_list("transformer_layers_per_mid_block")
                     ? config.require_ints("transformer_layers_per_mid_block")
                     : std::vector<int>{config.require_int("transformer_layers_per_mid_block")};
  const auto wanted = static_cast<std::size_t>(shape.mid->layers);
  if (mid_layers.size() == 1) mid_layers.assign(wanted, mid_layers.front());
  if (mid_layers.size() < wanted ||
      std::any_of(mid_layers.begin(), mid_layers.end(), [](int n) { return n < 1 || n > 1000; }))
    refuse_unet(config, "transformer_layers_per_mid_block must give each layer a positive number");
  shape.mid->transformer_layers = std::move(mid_layers);

  const bool middle = places == MotionPlaces::everywhere && config.get("use_motion_mid_block", true);
  const char* const mid_key = "temporal_transformer_layers_per_mid_block";
  auto temporal = std::vector<int>{1};
  if (config.is_list(mid_key))
    temporal = config.require_ints(mid_key);
  else if (const auto number = config.optional_int(mid_key))
    temporal = {*number};
  if (!middle) return;
  shape.mid->temporal = Temporal::modules;
  shape.mid->motion =
      motion_of(config, shape.levels.back().channels, heads.back(), temporal, shape.mid->layers);
}

}  // namespace daguerre::models

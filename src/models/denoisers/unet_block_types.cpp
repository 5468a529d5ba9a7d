#include "models/denoisers/unet_block_types.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace daguerre::models {
namespace {

struct Named {
  std::string_view down, up;
  UNetBlockType type;
};
using Kind = UNetBlockShape::Kind;
using Attention = UNetBlockShape::Attention;
constexpr Named block_types[] = {
    {"DownBlock2D", "UpBlock2D", {}},
    {"AttnDownBlock2D", "AttnUpBlock2D", {Kind::residual, Attention::pixels, false}},
    {"CrossAttnDownBlock2D", "CrossAttnUpBlock2D", {Kind::residual, Attention::transformer, false}},
    {"ResnetDownsampleBlock2D", "ResnetUpsampleBlock2D", {Kind::residual, Attention::none, true}},
    {"SimpleCrossAttnDownBlock2D", "SimpleCrossAttnUpBlock2D", {Kind::residual, Attention::added_kv, true}},
    {"SkipDownBlock2D", "SkipUpBlock2D", {Kind::skip, Attention::none, true}},
    {"AttnSkipDownBlock2D", "AttnSkipUpBlock2D", {Kind::skip, Attention::pixels, true}},
    {"KDownBlock2D", "KUpBlock2D", {Kind::k, Attention::none, false}},
    {"KCrossAttnDownBlock2D", "KCrossAttnUpBlock2D", {Kind::k, Attention::transformer, false}}};

/// Throws ConfigError where the reference's layers would fail for want of a number of groups.
void check_groups(const Config& config, const UNet2DShape& shape) {
  for (const auto& level : shape.levels)
    if (level.down.kind == Kind::residual || level.up.kind == Kind::residual)
      refuse_unet(config, "norm_num_groups is null, which only blocks with Skip or K in their name allow");
}

}  // namespace

void refuse_unet(const Config& config, const std::string& problem) {
  throw ConfigError("unet", config.source() + ": " + problem);
}

UNetBlockShape UNetBlockType::block() const {
  UNetBlockShape result;
  result.kind = kind;
  result.attention = attention;
  result.resnet_resize = resnet_resize;
  if (kind == Kind::skip) result.output_scale_factor = std::numbers::sqrt2_v<float>;
  return result;
}

std::vector<UNetBlockType> read_block_types(const Config& config, UNetWay way) {
  const char* const key = way == UNetWay::down ? "down_block_types" : "up_block_types";
  std::vector<UNetBlockType> result;
  for (const auto& name : config.require_strings(key)) {
    // Names of diffusers before 0.1 began so.
    constexpr std::string_view old_prefix = "UNetRes";
    auto type = std::string_view(name);
    if (type.starts_with(old_prefix)) type.remove_prefix(old_prefix.size());
    std::string known;
    const auto found = std::find_if(std::begin(block_types), std::end(block_types), [&](const Named& named) {
      const auto candidate = way == UNetWay::down ? named.down : named.up;
      known.append(known.empty() ? "" : ", ").append(candidate);
      return candidate == type;
    });
    if (found == std::end(block_types))
      refuse_unet(config,
                  "block type \"" + name + "\" in " + key + " is not supported; supported are: " + known);
    result.push_back(found->type);
  }
  return result;
}

void read_sample_size(const Config& config, Index& height, Index& width) {
  if (const auto size = config.int_or_pair("sample_size")) std::tie(height, width) = *size;
  if (height < 1 || width < 1) refuse_unet(config, "sample_size must be positive");
}

UNet2DShape read_unet_shape(const Config& config, Index default_channels) {
  UNet2DShape shape;
  shape.in_channels = config.get("in_channels", static_cast<int>(default_channels));
  shape.out_channels = config.get("out_channels", static_cast<int>(default_channels));
  shape.center_input_sample = config.get("center_input_sample", false);
  shape.downsample_padding = config.get("downsample_padding", 1);
  const bool no_groups = config.is_null("norm_num_groups");
  shape.resnet.groups = no_groups ? 0 : config.get("norm_num_groups", 32);
  shape.resnet.epsilon = static_cast<float>(config.get("norm_eps", 1e-5));
  shape.resnet.non_linearity = ops::parse_activation(config.get("act_fn", "silu"), config.source());
  config.expect("resnet_time_scale_shift", {"\"default\"", "\"scale_shift\""});
  shape.resnet.scale_shift = config.get("resnet_time_scale_shift", "default") == "scale_shift";
  config.ignore({"dropout"});

  const auto down = read_block_types(config, UNetWay::down), up = read_block_types(config, UNetWay::up);
  const auto channels = config.require_ints("block_out_channels");
  const std::size_t count = channels.size();
  if (count == 0 || count > 16 || down.size() != count || up.size() != count)
    refuse_unet(config, "block_out_channels has " + std::to_string(count) + " entries, down_block_types " +
                            std::to_string(down.size()) + ", up_block_types " + std::to_string(up.size()));
  const auto layers = config.int_or_list("layers_per_block", count, 2);
  const auto is_k = [](const UNetBlockType& type) { return type.kind == Kind::k; };
  const auto k_blocks =
      std::count_if(down.begin(), down.end(), is_k) + std::count_if(up.begin(), up.end(), is_k);
  if (k_blocks != 0 && static_cast<std::size_t>(k_blocks) != 2 * count)
    refuse_unet(config, "blocks with K in their name stand among others");
  for (std::size_t i = 0; i < count; ++i) {
    if (channels[i] < 1 || layers[i] < 1 || layers[i] > 1000)
      refuse_unet(config, "level " + std::to_string(i) + " has " + std::to_string(channels[i]) +
                              " channels and " + std::to_string(layers[i]) +
                              " layers; both must be positive");
    auto& level = shape.levels.emplace_back(
        UNet2DShape::Level{channels[i], down[i].block(), up[count - 1 - i].block()});
    level.down.layers = layers[i];
    level.up.layers = layers[i] + 1;
    for (auto* block : {&level.down, &level.up})
      if (block->kind == Kind::residual) block->attention_groups = shape.resnet.groups;
  }
  if (no_groups) check_groups(config, shape);
  if (shape.in_channels < 1 || shape.out_channels < 1 || shape.downsample_padding < 0 ||
      shape.downsample_padding > 1 || (!no_groups && shape.resnet.groups < 1) ||
      !std::isfinite(shape.resnet.epsilon))
    refuse_unet(config, "channels must be positive, downsample_padding 0 or 1, norm_num_groups positive");
  return shape;
}

}  // namespace daguerre::models

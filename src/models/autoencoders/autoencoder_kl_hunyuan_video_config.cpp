#include <algorithm>
#include <cmath>
#include <string>

#include "daguerre/models/autoencoders/autoencoder_kl_hunyuan_video.hpp"

namespace daguerre::models {
namespace {

constexpr const char* hunyuan_config_name = "autoencoder_kl_hunyuan_video";

int halvings(Index ratio) {
  int steps = 0;
  while (ratio >>= 1) ++steps;
  return steps;
}

void check_hunyuan_blocks(const Config& config, const char* key, const char* type, std::size_t count) {
  if (!config.has(key)) return;
  const auto types = config.require_strings(key);
  if (types.size() != count ||
      std::any_of(types.begin(), types.end(), [&](const auto& found) { return found != type; }))
    throw ConfigError(hunyuan_config_name, config.source() + ": " + key + " must be " +
                                               std::to_string(count) + " times \"" + type +
                                               "\", one for each of block_out_channels");
}

/// Why the shape cannot be built; empty where it can.
std::string hunyuan_shape_problem(const AutoencoderKlHunyuanVideoConfig& config) {
  const auto& channels = config.block_out_channels;
  const auto positive = [](Index value) { return value > 0 && value <= 65536; };
  if (!positive(config.in_channels) || !positive(config.out_channels) || !positive(config.latent_channels) ||
      config.layers_per_block < 1 || config.layers_per_block > 1000 || channels.empty() ||
      channels.size() > 15 || !std::all_of(channels.begin(), channels.end(), positive))
    return "channels and layers must be positive";
  if (config.norm_num_groups < 1 || std::any_of(channels.begin(), channels.end(), [&](Index width) {
        return width % config.norm_num_groups != 0;
      }))
    return "norm_num_groups must divide block_out_channels";
  if (config.temporal_compression_ratio != 4 && config.temporal_compression_ratio != 8)
    return "temporal_compression_ratio must be 4 or 8";
  Index space = 1, time = 1;
  for (std::size_t i = 0; i < channels.size(); ++i) {
    if (config.changes_space(i)) space *= 2;
    if (config.changes_time(i)) time *= 2;
  }
  if (space != config.spatial_compression_ratio || time != config.temporal_compression_ratio)
    return "spatial_compression_ratio and temporal_compression_ratio must be powers of two that the levels "
           "of "
           "block_out_channels can come to";
  if (!std::isfinite(config.scaling_factor) || config.scaling_factor == 0.0f)
    return "scaling_factor must be finite and not 0";
  return {};
}

}  // namespace

int HunyuanShape::space_steps() const {
  return halvings(spatial_compression_ratio);
}
int HunyuanShape::time_steps() const {
  return halvings(temporal_compression_ratio);
}

bool HunyuanShape::changes_space(std::size_t i) const {
  return static_cast<int>(i) < space_steps();
}

bool HunyuanShape::changes_time(std::size_t i) const {
  const int at = static_cast<int>(i), count = static_cast<int>(block_out_channels.size());
  if (temporal_compression_ratio == 8) return at < time_steps();
  return at >= count - 1 - time_steps() && at != count - 1;
}

AutoencoderKlHunyuanVideoConfig AutoencoderKlHunyuanVideoConfig::from(const Config& config) {
  if (config.class_name() != "AutoencoderKLHunyuanVideo")
    throw ConfigError(hunyuan_config_name, config.source() + ": class \"" + config.class_name() +
                                               "\" is not AutoencoderKLHunyuanVideo");
  AutoencoderKlHunyuanVideoConfig result;
  result.in_channels = config.get("in_channels", 3);
  result.out_channels = config.get("out_channels", 3);
  result.latent_channels = config.get("latent_channels", 16);
  if (config.is_list("block_out_channels")) {
    const auto channels = config.require_ints("block_out_channels");
    result.block_out_channels.assign(channels.begin(), channels.end());
  }
  const std::size_t count = result.block_out_channels.size();
  check_hunyuan_blocks(config, "down_block_types", "HunyuanVideoDownBlock3D", count);
  check_hunyuan_blocks(config, "up_block_types", "HunyuanVideoUpBlock3D", count);
  result.layers_per_block = config.get("layers_per_block", 2);
  result.act_fn = ops::parse_activation(config.get("act_fn", "silu"), config.source());
  result.norm_num_groups = config.get("norm_num_groups", 32);
  result.scaling_factor = static_cast<float>(config.get("scaling_factor", 0.476986));
  result.spatial_compression_ratio = config.get("spatial_compression_ratio", 8);
  result.temporal_compression_ratio = config.get("temporal_compression_ratio", 4);
  result.mid_block_add_attention = config.get("mid_block_add_attention", true);
  config.finish();
  if (const auto problem = hunyuan_shape_problem(result); !problem.empty())
    throw ConfigError(hunyuan_config_name, config.source() + ": " + problem);
  return result;
}

}  // namespace daguerre::models

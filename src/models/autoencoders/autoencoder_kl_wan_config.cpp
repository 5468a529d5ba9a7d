#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "daguerre/models/autoencoders/autoencoder_kl_wan.hpp"

namespace daguerre::models {
namespace {

constexpr const char* wan_autoencoder_name = "autoencoder_kl_wan";

/// Of Wan 2.1's latents, for configurations that leave them to the class.
constexpr std::array wan_latents_mean{-0.7571, -0.7089, -0.9113, 0.1075,  -0.1745, 0.9653,  -0.1517, 1.5508,
                                      0.4134,  -0.0715, 0.5517,  -0.3632, -0.1922, -0.9497, 0.2503,  -0.2921};
constexpr std::array wan_latents_std{2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743,
                                     3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160};

std::vector<float> channel_values(const Config& config, const char* key, std::span<const double> otherwise) {
  const auto given = config.doubles(key);
  const std::span<const double> values = config.is_list(key) ? std::span<const double>(given) : otherwise;
  std::vector<float> result;
  for (const double value : values) result.push_back(static_cast<float>(value));
  return result;
}

/// Why the shape cannot be built; empty where it can.
std::string wan_shape_problem(const AutoencoderKlWanConfig& config) {
  const auto positive = [](Index value) { return value > 0 && value <= 65536; };
  if (!positive(config.base_dim) || !positive(config.decoder_base_dim) || !positive(config.z_dim) ||
      !positive(config.in_channels) || !positive(config.out_channels) || !positive(config.num_res_blocks) ||
      config.num_res_blocks > 1000)
    return "channels and num_res_blocks must be positive";
  if (config.dim_mult.empty() || config.dim_mult.size() > 15 ||
      !std::all_of(config.dim_mult.begin(), config.dim_mult.end(), positive))
    return "dim_mult must be a list of positive numbers";
  if (config.temperal_downsample.size() + 1 != config.dim_mult.size())
    return "temperal_downsample must have one entry less than dim_mult";
  if (std::count(config.temperal_downsample.begin(), config.temperal_downsample.end(), true) > 2)
    return "temperal_downsample may halve time twice at most, since frames are encoded four by four";
  const Index patch = config.patch_size * config.patch_size;
  if (config.patch_size < 1 || config.patch_size > 64 || config.in_channels % patch != 0 ||
      config.out_channels % patch != 0)
    return "in_channels and out_channels must be multiples of the pixels of a patch";
  if (config.is_residual) {
    const auto in = config.encoder_widths(), out = config.decoder_widths();
    for (std::size_t i = 0; i + 1 < in.size(); ++i) {
      const bool is_last = i + 2 == in.size();
      const Index time = !is_last && config.temperal_downsample[i] ? 2 : 1;
      const Index back = !is_last && config.temperal_downsample[in.size() - 3 - i] ? 2 : 1;
      if (in[i] * time * (is_last ? 1 : 4) % in[i + 1] != 0 ||
          (!is_last && out[i + 1] * back * 4 % out[i] != 0))
        return "the channels of neighbouring levels do not divide each other, as shortcuts need it";
    }
  } else {
    const auto widths = config.decoder_widths();
    if (std::any_of(widths.begin(), widths.end() - 1, [](Index width) { return width < 2; }))
      return "a level of one channel cannot be halved";
  }
  const auto fits = [&](const std::vector<float>& values) {
    return static_cast<Index>(values.size()) == config.z_dim &&
           std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); });
  };
  if (!fits(config.latents_mean) || !fits(config.latents_std) ||
      !std::all_of(config.latents_std.begin(), config.latents_std.end(), [](float s) { return s > 0.0f; }))
    return "latents_mean and latents_std must be a number for each of z_dim channels, the latter positive";
  return {};
}

}  // namespace

Index WanShape::time_ratio() const {
  Index ratio = 1;
  for (const bool halves : temperal_downsample)
    if (halves) ratio *= 2;
  return ratio;
}

std::vector<Index> WanShape::encoder_widths() const {
  std::vector<Index> widths{base_dim};
  for (const Index factor : dim_mult) widths.push_back(base_dim * factor);
  return widths;
}

std::vector<Index> WanShape::decoder_widths() const {
  std::vector<Index> widths{decoder_base_dim * dim_mult.back()};
  for (auto factor = dim_mult.rbegin(); factor != dim_mult.rend(); ++factor)
    widths.push_back(decoder_base_dim * *factor);
  return widths;
}

AutoencoderKlWanConfig AutoencoderKlWanConfig::from(const Config& config) {
  if (config.class_name() != "AutoencoderKLWan")
    throw ConfigError(wan_autoencoder_name,
                      config.source() + ": class \"" + config.class_name() + "\" is not AutoencoderKLWan");
  AutoencoderKlWanConfig result;
  result.base_dim = config.get("base_dim", 96);
  result.decoder_base_dim =
      config.optional_int("decoder_base_dim").value_or(static_cast<int>(result.base_dim));
  result.z_dim = config.get("z_dim", 16);
  if (config.is_list("dim_mult")) {
    const auto factors = config.require_ints("dim_mult");
    result.dim_mult.assign(factors.begin(), factors.end());
    if (factors.empty()) throw ConfigError("autoencoder_kl_wan", config.source() + ": dim_mult is empty");
  }
  result.num_res_blocks = config.get("num_res_blocks", 2);
  result.attn_scales = config.doubles("attn_scales");
  if (config.is_list("temperal_downsample"))
    result.temperal_downsample =
        config.bool_or_list("temperal_downsample", result.dim_mult.size() - 1, false);
  result.is_residual = config.get("is_residual", false);
  result.in_channels = config.get("in_channels", 3);
  result.out_channels = config.get("out_channels", 3);
  result.patch_size = config.optional_int("patch_size").value_or(1);
  result.clip_output = config.get("clip_output", true);
  result.latents_mean = channel_values(config, "latents_mean", wan_latents_mean);
  result.latents_std = channel_values(config, "latents_std", wan_latents_std);
  config.ignore({"dropout", "scale_factor_temporal", "scale_factor_spatial"});  // the layers say the same
  config.finish();
  if (const auto problem = wan_shape_problem(result); !problem.empty())
    throw ConfigError(wan_autoencoder_name, config.source() + ": " + problem);
  return result;
}

}  // namespace daguerre::models

#include <algorithm>
#include <cmath>

#include "daguerre/models/autoencoders/autoencoder_tiny-inl.hpp"

namespace daguerre::models {
namespace {

constexpr const char* tiny_name = "autoencoder_tiny";

}  // namespace

Index AutoencoderTinyConfig::downscale() const {
  Index result = 1;
  for (std::size_t i = 1; i < encoder_block_out_channels.size(); ++i) result *= 2;
  return result;
}

AutoencoderTinyConfig AutoencoderTinyConfig::from(const Config& config) {
  if (const auto name = config.class_name(); name != "AutoencoderTiny")
    throw ConfigError(tiny_name, config.source() + ": class \"" + name + "\" is not AutoencoderTiny");
  AutoencoderTinyConfig result;
  result.in_channels = config.get("in_channels", 3);
  result.out_channels = config.get("out_channels", 3);
  result.latent_channels = config.get("latent_channels", 4);
  const auto list = [&](const char* key, auto& target) {
    if (!config.is_list(key)) return;
    const auto values = config.require_ints(key);
    target.assign(values.begin(), values.end());
  };
  list("encoder_block_out_channels", result.encoder_block_out_channels);
  list("decoder_block_out_channels", result.decoder_block_out_channels);
  list("num_encoder_blocks", result.num_encoder_blocks);
  list("num_decoder_blocks", result.num_decoder_blocks);
  result.upsampling_scaling_factor = config.get("upsampling_scaling_factor", 2);
  result.act_fn = ops::parse_activation(config.get("act_fn", "relu"), config.source());
  config.expect("upsample_fn", {"\"nearest\""});
  result.scaling_factor = static_cast<float>(config.get("scaling_factor", 1.0));
  result.shift_factor = static_cast<float>(config.optional_double("shift_factor").value_or(0.0));
  result.latent_magnitude = static_cast<float>(config.get("latent_magnitude", 3.0));
  result.latent_shift = static_cast<float>(config.get("latent_shift", 0.5));
  config.ignore({"force_upcast", "block_out_channels"});  // the encoder's widths once more
  config.finish();

  const auto even = [](const auto& widths, const auto& counts) {
    return !widths.empty() && widths.size() < 16 && widths.size() == counts.size() &&
           std::all_of(widths.begin(), widths.end(), [&](Index width) { return width == widths.front(); }) &&
           widths.front() > 0 &&
           std::all_of(counts.begin(), counts.end(), [](int count) { return count >= 0 && count <= 1000; });
  };
  const bool possible =
      result.in_channels > 0 && result.out_channels > 0 && result.latent_channels > 0 &&
      even(result.encoder_block_out_channels, result.num_encoder_blocks) &&
      even(result.decoder_block_out_channels, result.num_decoder_blocks) &&
      result.decoder_block_out_channels.size() == result.encoder_block_out_channels.size() &&
      result.upsampling_scaling_factor == 2 && result.scaling_factor != 0.0f &&
      result.latent_magnitude != 0.0f && std::isfinite(result.scaling_factor) &&
      std::isfinite(result.shift_factor);
  if (!possible)
    throw ConfigError(tiny_name,
                      config.source() +
                          ": channels must be positive and the same in all levels, as many on both "
                          "sides, each with a number of blocks; sides are doubled");
  return result;
}

template class AutoencoderTiny<float>;
template class AutoencoderTiny<bfloat16>;

}  // namespace daguerre::models

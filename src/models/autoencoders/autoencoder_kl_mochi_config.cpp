#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numeric>
#include <span>
#include <string>

#include "daguerre/models/autoencoders/autoencoder_kl_mochi.hpp"

namespace daguerre::models {
namespace {

constexpr const char* mochi_config_name = "autoencoder_kl_mochi";

/// Of Mochi 1's latents, for configurations that leave them to the class.
constexpr std::array mochi_latents_mean{-0.06730895953510081,  -0.038011381506090416, -0.07477820912866141,
                                        -0.05565264470995561,  0.012767231469026969,  -0.04703542746246419,
                                        0.043896967884726704,  -0.09346305707025976,  -0.09918314763016893,
                                        -0.008729793427399178, -0.011931556316503654, -0.0321993391887285};
constexpr std::array mochi_latents_std{0.9263795028493863, 0.9248894543193766, 0.9393059390890617,
                                       0.959253732819592,  0.8244560132752793, 0.917259975397747,
                                       0.9294154431013696, 1.3720942357788521, 0.881393668867029,
                                       0.9168315692124348, 0.9185249279345552, 0.9274757570805041};

template <class To>
void read_mochi_list(const Config& config, const char* key, std::vector<To>& values) {
  if (!config.is_list(key)) return;
  const auto given = config.require_ints(key);
  values.assign(given.begin(), given.end());
}

std::vector<float> mochi_statistics(const Config& config, const char* key,
                                    std::span<const double> otherwise) {
  const auto given = config.doubles(key);
  const std::span<const double> values = config.is_list(key) ? std::span<const double>(given) : otherwise;
  std::vector<float> result;
  for (const double value : values) result.push_back(static_cast<float>(value));
  return result;
}

/// Why the shape cannot be built; empty where it can.
std::string mochi_shape_problem(const AutoencoderKlMochiConfig& config) {
  const auto& encoder = config.encoder_block_out_channels;
  const auto& decoder = config.decoder_block_out_channels;
  const auto wide = [](Index value) { return value > 0 && value <= 65536 && value % 32 == 0; };
  if (encoder.empty() || encoder.size() > 15 || decoder.size() != encoder.size() ||
      !std::all_of(encoder.begin(), encoder.end(), wide) ||
      !std::all_of(decoder.begin(), decoder.end(), wide))
    return "encoder_block_out_channels and decoder_block_out_channels must be as many multiples of 32";
  const std::size_t steps = encoder.size() - 1;
  if (config.layers_per_block.size() != steps + 2 || config.add_attention_block.size() != steps + 2)
    return "layers_per_block and add_attention_block must have one entry more than the lists of channels";
  const auto counts = [](Index value) { return value > 0 && value <= 1000; };
  if (!std::all_of(config.layers_per_block.begin(), config.layers_per_block.end(), counts))
    return "layers_per_block must be positive";
  const auto expands = [&](const std::vector<Index>& factors) {
    return factors.size() == steps && std::all_of(factors.begin(), factors.end(),
                                                  [](Index factor) { return factor > 0 && factor <= 16; });
  };
  if (!expands(config.temporal_expansions) || !expands(config.spatial_expansions))
    return "temporal_expansions and spatial_expansions must be a small number for each step between levels";
  if (config.in_channels < 1 || config.in_channels > 65536 || config.in_channels % 5 != 0 ||
      config.out_channels < 1 || config.out_channels > 65536 || config.latent_channels < 1 ||
      config.latent_channels > 65536)
    return "channels must be positive, in_channels five times a picture's";
  const auto fits = [&](const std::vector<float>& values) {
    return static_cast<Index>(values.size()) == config.latent_channels &&
           std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); });
  };
  if (!fits(config.latents_mean) || !fits(config.latents_std) ||
      !std::all_of(config.latents_std.begin(), config.latents_std.end(), [](float s) { return s > 0.0f; }))
    return "latents_mean and latents_std must be a number for each latent channel, the latter positive";
  if (!std::isfinite(config.scaling_factor) || config.scaling_factor == 0.0f)
    return "scaling_factor must be finite and not 0";
  return {};
}

Index product_of(const std::vector<Index>& factors) {
  return std::accumulate(factors.begin(), factors.end(), Index{1}, std::multiplies<>());
}

}  // namespace

Index MochiShape::space_ratio() const {
  return product_of(spatial_expansions);
}
Index MochiShape::time_ratio() const {
  return product_of(temporal_expansions);
}

AutoencoderKlMochiConfig AutoencoderKlMochiConfig::from(const Config& config) {
  if (config.class_name() != "AutoencoderKLMochi")
    throw ConfigError(mochi_config_name,
                      config.source() + ": class \"" + config.class_name() + "\" is not AutoencoderKLMochi");
  AutoencoderKlMochiConfig result;
  result.in_channels = config.get("in_channels", 15);
  result.out_channels = config.get("out_channels", 3);
  result.latent_channels = config.get("latent_channels", 12);
  read_mochi_list(config, "encoder_block_out_channels", result.encoder_block_out_channels);
  read_mochi_list(config, "decoder_block_out_channels", result.decoder_block_out_channels);
  read_mochi_list(config, "layers_per_block", result.layers_per_block);
  if (result.layers_per_block.size() != result.encoder_block_out_channels.size() + 1)
    throw ConfigError(mochi_config_name, config.source() +
                                             ": layers_per_block must have one entry more than "
                                             "encoder_block_out_channels");
  read_mochi_list(config, "temporal_expansions", result.temporal_expansions);
  read_mochi_list(config, "spatial_expansions", result.spatial_expansions);
  if (config.is_list("add_attention_block"))
    result.add_attention_block =
        config.bool_or_list("add_attention_block", result.layers_per_block.size(), false);
  result.act_fn = ops::parse_activation(config.get("act_fn", "silu"), config.source());
  result.latents_mean = mochi_statistics(config, "latents_mean", mochi_latents_mean);
  result.latents_std = mochi_statistics(config, "latents_std", mochi_latents_std);
  result.scaling_factor = static_cast<float>(config.get("scaling_factor", 1.0));
  config.finish();
  if (const auto problem = mochi_shape_problem(result); !problem.empty())
    throw ConfigError(mochi_config_name, config.source() + ": " + problem);
  return result;
}

}  // namespace daguerre::models

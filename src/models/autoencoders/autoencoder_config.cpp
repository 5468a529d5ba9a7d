#include <algorithm>
#include <cmath>
#include <string>

#include "daguerre/models/autoencoders/autoencoder_kl.hpp"
#include "daguerre/models/autoencoders/autoencoder_kl_temporal.hpp"
#include "daguerre/models/autoencoders/vq_model.hpp"

namespace daguerre::models {
namespace {

constexpr const char* autoencoder_name = "autoencoder";

/// Whether each block that `key` lists attends. Throws ConfigError for other types and for another number.
std::vector<bool> attention_in_blocks(const Config& config, const char* key, const std::string& with,
                                      const std::string& without, std::size_t count) {
  const auto types = config.require_strings(key);
  const bool known = std::all_of(types.begin(), types.end(),
                                 [&](const auto& type) { return type == with || type == without; });
  if (types.size() != count || !known)
    throw ConfigError(autoencoder_name, config.source() + ": " + key + " must be " + std::to_string(count) +
                                            " times \"" + without + "\" or \"" + with +
                                            "\", one for each of block_out_channels");
  std::vector<bool> result;
  for (const auto& type : types) result.push_back(type == with);
  return result;
}

void check_class(const Config& config, const std::string& name) {
  if (config.class_name() != name)
    throw ConfigError(autoencoder_name,
                      config.source() + ": class \"" + config.class_name() + "\" is not " + name);
}

}  // namespace

void AutoencoderShape::read(const Config& config, Index default_latents, bool has_up_block_types) {
  in_channels = config.get("in_channels", 3);
  out_channels = config.get("out_channels", 3);
  latent_channels = config.get("latent_channels", static_cast<int>(default_latents));
  const auto channels = config.require_ints("block_out_channels");
  block_out_channels.assign(channels.begin(), channels.end());
  down_attention = attention_in_blocks(config, "down_block_types", "AttnDownEncoderBlock2D",
                                       "DownEncoderBlock2D", channels.size());
  up_attention = has_up_block_types ? attention_in_blocks(config, "up_block_types", "AttnUpDecoderBlock2D",
                                                          "UpDecoderBlock2D", channels.size())
                                    : std::vector<bool>(channels.size(), false);
  std::reverse(up_attention.begin(), up_attention.end());  // there from the innermost outwards
  layers_per_block = config.get("layers_per_block", 1);
  act_fn = ops::parse_activation(config.get("act_fn", "silu"), config.source());
  norm_num_groups = config.get("norm_num_groups", 32);
  mid_block_add_attention = config.get("mid_block_add_attention", true);
  // Tiles are square: of a pair the reference takes the height.
  sample_size =
      config.is_null("sample_size") ? 0 : config.int_or_pair("sample_size").value_or(std::pair(32, 32)).first;
  scaling_factor = static_cast<float>(config.get("scaling_factor", 0.18215));
  config.ignore({"force_upcast"});  // asks for float32 where float16 overflows; bfloat16 does not

  const bool possible = in_channels > 0 && out_channels > 0 && latent_channels > 0 && !channels.empty() &&
                        channels.size() < 16 && layers_per_block > 0 && layers_per_block <= 1000 &&
                        sample_size > 0 && scaling_factor != 0.0f && std::isfinite(scaling_factor) &&
                        std::all_of(channels.begin(), channels.end(), [](int c) { return c > 0; });
  if (!possible)
    throw ConfigError(
        autoencoder_name,
        config.source() + ": channels, layers and sizes must be positive, scaling_factor finite and not 0");
}

AutoencoderKlConfig AutoencoderKlConfig::from(const Config& config) {
  check_class(config, "AutoencoderKL");
  AutoencoderKlConfig result;
  result.read(config, 4);
  result.shift_factor = static_cast<float>(config.optional_double("shift_factor").value_or(0.0));
  for (const double value : config.doubles("latents_mean"))
    result.latents_mean.push_back(static_cast<float>(value));
  for (const double value : config.doubles("latents_std"))
    result.latents_std.push_back(static_cast<float>(value));
  result.use_quant_conv = config.get("use_quant_conv", true);
  result.use_post_quant_conv = config.get("use_post_quant_conv", true);
  config.finish();
  const auto fits = [&](const std::vector<float>& values) {
    return values.empty() || static_cast<Index>(values.size()) == result.latent_channels;
  };
  const bool possible = std::isfinite(result.shift_factor) && fits(result.latents_mean) &&
                        fits(result.latents_std) &&
                        std::all_of(result.latents_std.begin(), result.latents_std.end(),
                                    [](float value) { return value > 0.0f && std::isfinite(value); });
  if (!possible)
    throw ConfigError(autoencoder_name,
                      config.source() +
                          ": shift_factor must be finite, latents_mean and latents_std null or a number "
                          "for each latent channel, the latter positive");
  return result;
}

AutoencoderKlTemporalConfig AutoencoderKlTemporalConfig::from(const Config& config) {
  check_class(config, "AutoencoderKLTemporalDecoder");
  // Fixed in the class.
  config.expect("act_fn", {"\"silu\""});
  config.expect("norm_num_groups", {"32"});
  config.expect("mid_block_add_attention", {"true"});
  AutoencoderKlTemporalConfig result;
  result.read(config, 4, false);
  config.finish();
  return result;
}

VqModelConfig VqModelConfig::from(const Config& config) {
  check_class(config, "VQModel");
  VqModelConfig result;
  result.read(config, 3);
  result.num_vq_embeddings = config.get("num_vq_embeddings", 256);
  result.vq_embed_dim =
      config.optional_int("vq_embed_dim").value_or(static_cast<int>(result.latent_channels));
  config.expect("norm_type", {"\"group\""});
  config.ignore({"lookup_from_codebook"});  // what decode_codes does
  config.finish();
  if (result.num_vq_embeddings < 1 || result.vq_embed_dim < 1)
    throw ConfigError(autoencoder_name,
                      config.source() + ": num_vq_embeddings and vq_embed_dim must be positive");
  return result;
}

}  // namespace daguerre::models

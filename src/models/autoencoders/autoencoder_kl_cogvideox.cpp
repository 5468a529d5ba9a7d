#include "daguerre/models/autoencoders/autoencoder_kl_cogvideox-inl.hpp"

namespace daguerre::models {

int CogVideoXAutoencoderConfig::temporal_levels() const noexcept {
  int levels = 0;
  for (Index ratio = temporal_compression_ratio; ratio > 1; ratio /= 2) ++levels;
  return levels;
}

CogVideoXAutoencoderConfig CogVideoXAutoencoderConfig::from(const Config& config) {
  constexpr const char* who = "autoencoder";
  if (const auto name = config.class_name(); name != "AutoencoderKLCogVideoX")
    throw ConfigError(who, config.source() + ": class \"" + name + "\" is not AutoencoderKLCogVideoX");
  CogVideoXAutoencoderConfig result;
  const auto read = [&](const char* key, auto& value) {
    value = static_cast<std::remove_reference_t<decltype(value)>>(config.get(key, static_cast<int>(value)));
  };
  read("in_channels", result.in_channels);
  read("out_channels", result.out_channels);
  read("latent_channels", result.latent_channels);
  read("layers_per_block", result.layers_per_block);
  read("norm_num_groups", result.norm_num_groups);
  read("sample_height", result.sample_height);
  read("sample_width", result.sample_width);
  // The class takes a fraction, too, which means the same.
  const double ratio = config.get("temporal_compression_ratio", 4.0);
  if (config.is_list("block_out_channels")) {
    const auto widths = config.require_ints("block_out_channels");
    result.block_out_channels.assign(widths.begin(), widths.end());
  }
  const auto expect_blocks = [&](const char* key, const char* kind) {
    if (!config.is_list(key)) return;
    const auto kinds = config.require_strings(key);
    if (kinds.size() != result.block_out_channels.size())
      throw ConfigError(who, config.source() + ": " + std::to_string(kinds.size()) + " " + key + " for " +
                                 std::to_string(result.block_out_channels.size()) + " widths");
    for (const auto& found : kinds)
      if (found != kind)
        throw ConfigError(
            who, config.source() + ": a block \"" + found + "\" in " + key + ", expected \"" + kind + "\"");
  };
  expect_blocks("down_block_types", "CogVideoXDownBlock3D");
  expect_blocks("up_block_types", "CogVideoXUpBlock3D");
  result.act_fn = ops::parse_activation(config.get("act_fn", "silu"), who);
  result.norm_eps = static_cast<float>(config.get("norm_eps", 1e-6));
  result.scaling_factor = static_cast<float>(config.get("scaling_factor", 1.15258426));
  result.invert_scale_latents = config.get("invert_scale_latents", false);
  // Nothing reads these in the reference but pipelines, which do not for this class.
  config.expect("shift_factor", {"null"});
  config.expect("latents_mean", {"null"});
  config.expect("latents_std", {"null"});
  // The class makes them for other numbers of channels than they would get.
  config.expect("use_quant_conv", {"false"});
  config.expect("use_post_quant_conv", {"false"});
  config.ignore({"force_upcast"});
  config.finish();

  const auto refuse = [&](const std::string& what) { throw ConfigError(who, config.source() + ": " + what); };
  const auto& widths = result.block_out_channels;
  bool possible = !widths.empty() && widths.size() < 16 && result.in_channels > 0 &&
                  result.out_channels > 0 && result.latent_channels > 0 && result.layers_per_block > 0 &&
                  result.norm_num_groups > 0 && result.sample_height > 0 && result.sample_width > 0;
  for (const Index width : widths)
    possible = possible && width > 0 && width % std::max(1, result.norm_num_groups) == 0;
  if (!possible)
    refuse("channels, layers and sizes must be positive, and norm_num_groups divide every width");
  if (!(ratio == 1.0 || ratio == 2.0 || ratio == 4.0 || ratio == 8.0))
    refuse("temporal_compression_ratio is " + std::to_string(ratio) + ", expected 1, 2, 4 or 8");
  result.temporal_compression_ratio = static_cast<Index>(ratio);
  if (result.temporal_levels() >= static_cast<int>(widths.size()))
    refuse(std::to_string(widths.size()) + " widths are too few for a temporal_compression_ratio of " +
           std::to_string(result.temporal_compression_ratio));
  if (!(result.scaling_factor > 0.0f)) refuse("scaling_factor must be positive");
  return result;
}

namespace detail {

template class CogVideoXNorm<float>;
template class CogVideoXNorm<bfloat16>;
template class CogVideoXResnet<float>;
template class CogVideoXResnet<bfloat16>;
template class CogVideoXEncoder<float>;
template class CogVideoXEncoder<bfloat16>;
template class CogVideoXDecoder<float>;
template class CogVideoXDecoder<bfloat16>;

}  // namespace detail

template class AutoencoderKlCogVideoX<float>;
template class AutoencoderKlCogVideoX<bfloat16>;

}  // namespace daguerre::models

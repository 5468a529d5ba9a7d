#include <algorithm>
#include <string>
#include <vector>

#include "daguerre/models/autoencoders/autoencoder_kl_ltx.hpp"

namespace daguerre::models {
namespace {

constexpr const char* ltx_vae_config_name = "autoencoder_kl_ltx";
constexpr const char* ltx_first_block = "LTXVideoDownBlock3D";
constexpr const char* ltx_later_block = "LTXVideo095DownBlock3D";

using LTXResampling = LTXCoderShape::Resampling;
using Ints = std::vector<int>;

class LTXConfigReader {
 public:
  explicit LTXConfigReader(const Config& config) : config_(config) {}

  [[noreturn]] void refuse(const std::string& what) const {
    throw ConfigError(ltx_vae_config_name, config_.source() + ": " + what);
  }
  /// A list of positive numbers.
  Ints positive(const char* key, const Ints& fallback) const {
    const auto found = config_.is_list(key) ? config_.require_ints(key) : fallback;
    const auto fits = [](int value) { return value > 0; };
    if (found.empty() || !std::all_of(found.begin(), found.end(), fits))
      refuse(std::string(key) + " must be positive numbers");
    return found;
  }
  std::vector<bool> truths(const char* key, std::size_t count, const std::vector<bool>& fallback) const {
    if (config_.is_list(key)) return config_.bool_or_list(key, count, false);
    return sized(key, fallback, count);
  }
  std::vector<std::string> texts(const char* key, std::size_t count,
                                 const std::vector<std::string>& fallback) const {
    return sized(key, config_.is_list(key) ? config_.require_strings(key) : fallback, count);
  }
  template <class List>
  List sized(const char* key, List list, std::size_t count) const {
    if (list.size() != count)
      refuse(std::string(key) + " has " + std::to_string(list.size()) + " entries, expected " +
             std::to_string(count));
    return list;
  }
  const Config& config() const noexcept { return config_; }

 private:
  const Config& config_;
};

ops::SpaceTimeBlock ltx_factor(const LTXConfigReader& reader, const std::string& type) {
  if (type == "conv" || type == "spatiotemporal") return {2, 2, 2};
  if (type == "spatial") return {1, 2, 2};
  if (type == "temporal") return {2, 1, 1};
  reader.refuse("downsample_type \"" + type +
                "\" is not known; known are: conv, spatial, temporal, spatiotemporal");
}

LTXCoderShape ltx_encoder(const LTXConfigReader& reader) {
  const auto& config = reader.config();
  const auto channels = reader.positive("block_out_channels", {128, 256, 512, 512});
  // Newer blocks change the channels where they are halved, and the first number is before all of them.
  std::vector<std::string> types(4, ltx_first_block);
  if (config.is_list("down_block_types")) types = config.require_strings("down_block_types");
  const bool is_later = !types.empty() && types.back() == ltx_later_block;
  const auto count = channels.size() - (is_later ? 1 : 0);
  for (const auto& type : reader.sized("down_block_types", types, count))
    if (type != (is_later ? ltx_later_block : ltx_first_block))
      reader.refuse("down_block_types has \"" + type + "\" beside \"" + types.back() + "\"");
  const auto layers =
      reader.sized("layers_per_block", reader.positive("layers_per_block", {4, 3, 3, 3, 4}), count + 1);
  const auto scales = reader.truths("spatio_temporal_scaling", count, {true, true, true, false});
  const auto kinds = reader.texts("downsample_type", count, std::vector<std::string>(4, "conv"));

  LTXCoderShape shape;
  shape.channels = channels.front();
  shape.mid_layers = layers.back();
  shape.is_causal = config.get("encoder_causal", true);
  int in = channels.front();
  for (std::size_t i = 0; i < count; ++i) {
    LTXCoderShape::Block block{.channels = channels[std::min(i + 1, channels.size() - 1)],
                               .layers = layers[i]};
    const bool shuffles = is_later && kinds[i] != "conv";
    if (scales[i]) {
      block.resampling = shuffles ? LTXResampling::shuffled : LTXResampling::strided;
      block.factor = ltx_factor(reader, is_later ? kinds[i] : "conv");
    }
    const Index size = block.factor.size();
    if (is_later && (!scales[i] || !shuffles) && block.channels != in)
      reader.refuse("block " + std::to_string(i) + " goes from " + std::to_string(in) + " to " +
                    std::to_string(block.channels) + " channels without a layer that does it");
    if (scales[i] && shuffles && (block.channels % size != 0 || in * size % block.channels != 0))
      reader.refuse(std::to_string(block.channels) + " channels of block " + std::to_string(i) +
                    " are not those of places in blocks of " + std::to_string(size) + " with " +
                    std::to_string(in) + " channels");
    shape.blocks.push_back(block);
    in = static_cast<int>(block.channels);
  }
  return shape;
}

LTXCoderShape ltx_decoder(const LTXConfigReader& reader) {
  const auto& config = reader.config();
  auto channels = reader.positive("decoder_block_out_channels", {128, 256, 512, 512});
  const auto count = channels.size();
  auto layers = reader.sized("decoder_layers_per_block",
                             reader.positive("decoder_layers_per_block", {4, 3, 3, 3, 4}), count + 1);
  auto scales = reader.truths("decoder_spatio_temporal_scaling", count, {true, true, true, false});
  auto noise = reader.truths("decoder_inject_noise", count + 1, std::vector<bool>(5, false));
  auto residual = reader.truths("upsample_residual", count, std::vector<bool>(4, false));
  auto factors = reader.sized("upsample_factor", reader.positive("upsample_factor", {1, 1, 1, 1}), count);
  // Lists are in the encoder's order.
  std::reverse(channels.begin(), channels.end());
  std::reverse(layers.begin(), layers.end());
  std::reverse(scales.begin(), scales.end());
  std::reverse(noise.begin(), noise.end());
  std::reverse(residual.begin(), residual.end());
  std::reverse(factors.begin(), factors.end());

  LTXCoderShape shape;
  shape.channels = channels.front();
  shape.mid_layers = layers.front();
  shape.mid_injects_noise = noise.front();
  shape.is_causal = config.get("decoder_causal", false);
  shape.timestep_conditioning = config.get("timestep_conditioning", false);
  Index before = channels.front();
  for (std::size_t i = 0; i < count; ++i) {
    LTXCoderShape::Block block{.channels = channels[i] / factors[i],
                               .layers = layers[i + 1],
                               .resampling = scales[i] ? LTXResampling::shuffled : LTXResampling::none,
                               .factor = {},
                               .upscale = factors[i],
                               .residual = scales[i] && residual[i],
                               .injects_noise = noise[i + 1]};
    if (scales[i]) block.factor = {2, 2, 2};
    const bool changes = before / factors[i] != block.channels;
    const Index taken = block.channels * block.upscale;
    const std::string name = "the decoder's block " + std::to_string(i);
    if (taken != before && !(changes && factors[i] == 1))
      reader.refuse(name + " of " + std::to_string(block.channels) + " channels takes " +
                    std::to_string(taken) + ", and there are " + std::to_string(before));
    if (!scales[i] && factors[i] != 1)
      reader.refuse(name + " takes more channels than it has and does not grow");
    if (changes && (shape.timestep_conditioning || block.injects_noise))
      reader.refuse(name + " changes the channels in a layer that knows no time and no noise");
    if (block.residual && (taken % block.factor.size() != 0 || block.factor.size() % factors[i] != 0))
      reader.refuse(name + ": " + std::to_string(taken) + " channels are no places of a shortcut");
    shape.blocks.push_back(block);
    before = block.channels;
  }
  return shape;
}

/// How much finer what a half sees is than what it gives, or the other way, in rows and in frames.
ops::SpaceTimeBlock ltx_ratio(const LTXCoderShape& shape) {
  ops::SpaceTimeBlock ratio;
  for (const auto& block : shape.blocks) {
    ratio.frames = checked_multiply(ratio.frames, block.factor.frames);
    ratio.rows = checked_multiply(ratio.rows, block.factor.rows);
    ratio.columns = checked_multiply(ratio.columns, block.factor.columns);
  }
  return ratio;
}

}  // namespace

Index AutoencoderKlLtxConfig::space_ratio() const {
  return checked_multiply(patch_size, ltx_ratio(encoder).rows);
}

Index AutoencoderKlLtxConfig::time_ratio() const {
  return checked_multiply(patch_size_t, ltx_ratio(encoder).frames);
}

AutoencoderKlLtxConfig AutoencoderKlLtxConfig::from(const Config& config) {
  constexpr const char* class_name = "AutoencoderKLLTXVideo";
  const LTXConfigReader reader(config);
  if (const auto name = config.class_name(); name != class_name)
    reader.refuse("class \"" + name + "\" is not " + class_name);
  AutoencoderKlLtxConfig result;
  result.in_channels = config.get("in_channels", 3);
  result.latent_channels = config.get("latent_channels", 128);
  result.patch_size = config.get("patch_size", 4);
  result.patch_size_t = config.get("patch_size_t", 1);
  result.scaling_factor = static_cast<float>(config.get("scaling_factor", 1.0));
  const int out_channels = config.get("out_channels", 3);
  const auto epsilon = static_cast<float>(config.get("resnet_norm_eps", 1e-6));
  if (result.in_channels < 1 || out_channels != result.in_channels || result.latent_channels < 1 ||
      result.patch_size < 1 || result.patch_size_t < 1 || !(result.scaling_factor > 0.0f) ||
      !(epsilon > 0.0f))
    reader.refuse(
        "channels, patches, scaling_factor and resnet_norm_eps must be positive, and as many "
        "channels come out as go in");
  result.encoder = ltx_encoder(reader);
  result.decoder = ltx_decoder(reader);
  for (auto* shape : {&result.encoder, &result.decoder}) {
    shape->pixel_channels = checked_multiply(
        result.in_channels,
        checked_multiply(result.patch_size_t, checked_multiply(result.patch_size, result.patch_size)));
    shape->latent_channels = result.latent_channels;
    shape->resnet_epsilon = epsilon;
  }
  const auto down = ltx_ratio(result.encoder), up = ltx_ratio(result.decoder);
  if (down.frames != up.frames || down.rows != up.rows || down.columns != up.columns)
    reader.refuse("the decoder makes films of another size than those that are encoded");
  if (config.optional_int("spatial_compression_ratio").value_or(static_cast<int>(result.space_ratio())) !=
          result.space_ratio() ||
      config.optional_int("temporal_compression_ratio").value_or(static_cast<int>(result.time_ratio())) !=
          result.time_ratio())
    reader.refuse("the blocks make films smaller by " + std::to_string(result.space_ratio()) + " and " +
                  std::to_string(result.time_ratio()) + ", which the compression ratios must say, too");
  config.finish();
  return result;
}

}  // namespace daguerre::models

#include "daguerre/models/autoencoder_kl.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "daguerre/ops/elementwise.hpp"
#include "models/tiles.hpp"

namespace daguerre::models {
namespace {

constexpr float norm_epsilon = 1e-6f;

nn::ResnetOptions resnet_options(const AutoencoderKlConfig& config, Index in, Index out) {
  return {.in_channels = in,
          .out_channels = out,
          .groups = config.norm_num_groups,
          .epsilon = norm_epsilon,
          .non_linearity = config.act_fn};
}

template <class T>
std::optional<nn::Linear<T>> pointwise(const nn::Loader& loader, bool wanted, Index in, Index out) {
  if (!wanted) return std::nullopt;
  return nn::Linear<T>(loader, in, out, {.stored_as_conv = true});
}

LatentDistribution split(const Tensor<float>& moments) {
  const Index channels = moments.dim(3) / 2, pixels = moments.size() / (2 * channels);
  LatentDistribution result{Tensor<float>(moments.shape().with(3, channels)),
                            Tensor<float>(moments.shape().with(3, channels))};
  for (Index i = 0; i < pixels; ++i) {
    const float* from = moments.data() + i * 2 * channels;
    std::copy_n(from, channels, result.mean.data() + i * channels);
    std::transform(from + channels, from + 2 * channels, result.logvar.data() + i * channels,
                   [](float value) { return std::clamp(value, -30.0f, 20.0f); });
  }
  return result;
}

void check_input(const Shape& shape, Index channels, const char* what) {
  if (shape.rank() != 4 || shape[3] != channels || shape.size() == 0)
    throw ArgumentError("autoencoder", std::string(what) + " " + to_string(shape) + ", expected [N, H, W, " +
                                           std::to_string(channels) + "]");
}

}  // namespace

AutoencoderKlConfig AutoencoderKlConfig::from(const weights::Config& config) {
  constexpr const char* who = "autoencoder";
  if (config.class_name() != "AutoencoderKL")
    throw ConfigError(who, config.source() + ": class \"" + config.class_name() + "\" is not AutoencoderKL");
  AutoencoderKlConfig result;
  result.in_channels = config.get("in_channels", 3);
  result.out_channels = config.get("out_channels", 3);
  result.latent_channels = config.get("latent_channels", 4);
  const auto channels = config.require_ints("block_out_channels");
  result.block_out_channels.assign(channels.begin(), channels.end());
  result.layers_per_block = config.get("layers_per_block", 1);
  result.act_fn = ops::parse_activation(config.get("act_fn", "silu"), config.source());
  result.norm_num_groups = config.get("norm_num_groups", 32);
  result.sample_size = config.get("sample_size", 32);
  result.scaling_factor = static_cast<float>(config.get("scaling_factor", 0.18215));
  result.shift_factor = static_cast<float>(config.optional_double("shift_factor").value_or(0.0));
  result.use_quant_conv = config.get("use_quant_conv", true);
  result.use_post_quant_conv = config.get("use_post_quant_conv", true);
  result.mid_block_add_attention = config.get("mid_block_add_attention", true);
  for (const auto& [key, type] :
       {std::pair{"down_block_types", "DownEncoderBlock2D"}, {"up_block_types", "UpDecoderBlock2D"}}) {
    const auto types = config.require_strings(key);
    if (types.size() != channels.size() ||
        std::any_of(types.begin(), types.end(), [type = type](const auto& t) { return t != type; }))
      throw ConfigError(who, config.source() + ": " + key + " must be " + std::to_string(channels.size()) +
                                 " times \"" + type + "\", one for each of block_out_channels");
  }
  config.expect("latents_mean", {"null"});
  config.expect("latents_std", {"null"});
  config.ignore({"force_upcast"});  // asks for float32 where float16 overflows; bfloat16 does not
  config.finish();
  const bool possible = result.in_channels > 0 && result.out_channels > 0 && result.latent_channels > 0 &&
                        !channels.empty() && channels.size() < 16 && result.layers_per_block > 0 &&
                        result.sample_size > 0 && result.scaling_factor != 0.0f &&
                        std::isfinite(result.scaling_factor) && std::isfinite(result.shift_factor) &&
                        std::all_of(channels.begin(), channels.end(), [](int c) { return c > 0; });
  if (!possible)
    throw ConfigError(who, config.source() +
                               ": channels, layers and sizes must be positive, scaling_factor and "
                               "shift_factor finite, the former not 0");
  return result;
}

Tensor<float> LatentDistribution::std() const {
  Tensor<float> result(logvar.shape());
  std::transform(logvar.data(), logvar.data() + logvar.size(), result.data(),
                 [](float value) { return std::exp(0.5f * value); });
  return result;
}

Tensor<float> LatentDistribution::sample(const Tensor<float>& noise) const {
  if (!(noise.shape() == mean.shape()))
    throw ArgumentError("autoencoder",
                        "noise " + to_string(noise.shape()) + " for latents " + to_string(mean.shape()));
  auto result = std();
  for (Index i = 0; i < result.size(); ++i)
    result.data()[i] = mean.data()[i] + result.data()[i] * noise.data()[i];
  return result;
}

// ---- parts
// ----------------------------------------------------------------------------------------------------------

template <class T>
AutoencoderKl<T>::MidBlock::MidBlock(const nn::Loader& loader, const AutoencoderKlConfig& config,
                                     Index channels)
    : first(loader.sub("resnets", 0), resnet_options(config, channels, channels)),
      second(loader.sub("resnets", 1), resnet_options(config, channels, channels)) {
  if (!config.mid_block_add_attention) return;
  attention.emplace(
      loader.sub("attentions", 0),
      typename nn::SpatialAttention<T>::Options{
          .channels = channels, .norm_num_groups = config.norm_num_groups, .norm_epsilon = norm_epsilon});
}

template <class T>
Tensor<float> AutoencoderKl<T>::MidBlock::operator()(const ops::Context& context, Tensor<float> x) const {
  x = first(context, std::move(x));
  if (attention) x = (*attention)(context, x);
  return second(context, std::move(x));
}

template <class T>
AutoencoderKl<T>::Encoder::Encoder(const nn::Loader& loader, const AutoencoderKlConfig& config)
    : conv_in(loader.sub("conv_in"), config.in_channels, config.block_out_channels.front(), 3,
              ops::ConvGeometry::same(1)),
      mid(loader.sub("mid_block"), config, config.block_out_channels.back()),
      norm_out(loader.sub("conv_norm_out"), config.block_out_channels.back(), config.norm_num_groups,
               norm_epsilon, config.act_fn),
      conv_out(loader.sub("conv_out"), config.block_out_channels.back(), 2 * config.latent_channels, 3,
               ops::ConvGeometry::same(1)) {
  Index channels = config.block_out_channels.front();
  const int count = static_cast<int>(config.block_out_channels.size());
  for (int i = 0; i < count; ++i) {
    const auto level = loader.sub("down_blocks", i);
    const Index out = config.block_out_channels[static_cast<std::size_t>(i)];
    Block block;
    for (int j = 0; j < config.layers_per_block; ++j, channels = out)
      block.resnets.emplace_back(level.sub("resnets", j), resnet_options(config, channels, out));
    if (i + 1 < count) block.downsampler.emplace(level.sub("downsamplers", 0), out, out, 0);
    blocks.push_back(std::move(block));
  }
}

template <class T>
Tensor<float> AutoencoderKl<T>::Encoder::operator()(const ops::Context& context,
                                                    const Tensor<float>& x) const {
  auto y = conv_in(context, ops::cast<T>(context, x));
  for (const auto& block : blocks) {
    for (const auto& resnet : block.resnets) y = resnet(context, std::move(y));
    if (block.downsampler) y = (*block.downsampler)(context, y);
  }
  return conv_out(context, norm_out.template apply<T>(context, mid(context, std::move(y))));
}

template <class T>
AutoencoderKl<T>::Decoder::Decoder(const nn::Loader& loader, const AutoencoderKlConfig& config)
    : conv_in(loader.sub("conv_in"), config.latent_channels, config.block_out_channels.back(), 3,
              ops::ConvGeometry::same(1)),
      mid(loader.sub("mid_block"), config, config.block_out_channels.back()),
      norm_out(loader.sub("conv_norm_out"), config.block_out_channels.front(), config.norm_num_groups,
               norm_epsilon, config.act_fn),
      conv_out(loader.sub("conv_out"), config.block_out_channels.front(), config.out_channels, 3,
               ops::ConvGeometry::same(1)) {
  Index channels = config.block_out_channels.back();
  const int count = static_cast<int>(config.block_out_channels.size());
  for (int i = 0; i < count; ++i) {
    const auto level = loader.sub("up_blocks", i);
    const Index out = config.block_out_channels[static_cast<std::size_t>(count - 1 - i)];
    Block block;
    for (int j = 0; j <= config.layers_per_block; ++j, channels = out)
      block.resnets.emplace_back(level.sub("resnets", j), resnet_options(config, channels, out));
    if (i + 1 < count) block.upsampler.emplace(level.sub("upsamplers", 0), out, out);
    blocks.push_back(std::move(block));
  }
}

template <class T>
Tensor<float> AutoencoderKl<T>::Decoder::operator()(const ops::Context& context,
                                                    const Tensor<float>& x) const {
  auto y = mid(context, conv_in(context, ops::cast<T>(context, x)));
  Tensor<T> rounded;  // instead of y, where the next block takes it
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    for (const auto& resnet : blocks[i].resnets)
      y = rounded.empty() ? resnet(context, std::move(y))
                          : resnet.of_rounded(context, std::exchange(rounded, {}));
    if (!blocks[i].upsampler) continue;
    if (i + 1 < blocks.size() && blocks[i + 1].resnets.front().takes_rounded())
      rounded = blocks[i].upsampler->rounded(context, std::exchange(y, {}));
    else
      y = (*blocks[i].upsampler)(context, y);
  }
  const auto normed = norm_out.template apply<T>(context, y);
  y = {};
  return conv_out(context, normed);
}

// ---- the whole
// --------------------------------------------------------------------------------------------------------

template <class T>
AutoencoderKl<T>::AutoencoderKl(const AutoencoderKlConfig& config, const nn::Loader& loader)
    : config_(config),
      encoder_(loader.sub("encoder"), config),
      decoder_(loader.sub("decoder"), config),
      quant_conv_(pointwise<T>(loader.sub("quant_conv"), config.use_quant_conv, 2 * config.latent_channels,
                               2 * config.latent_channels)),
      post_quant_conv_(pointwise<T>(loader.sub("post_quant_conv"), config.use_post_quant_conv,
                                    config.latent_channels, config.latent_channels)) {}

template <class T>
Tensor<float> AutoencoderKl<T>::moments(const ops::Context& context, const Tensor<float>& pictures) const {
  const auto encoded = encoder_(context, pictures);
  return quant_conv_ ? quant_conv_->accumulate(context, ops::cast<T>(context, encoded)) : encoded;
}

template <class T>
LatentDistribution AutoencoderKl<T>::encode(const ops::Context& context,
                                            const Tensor<float>& pictures) const {
  check_input(pictures.shape(), config_.in_channels, "pictures");
  return split(moments(context, pictures));
}

template <class T>
Tensor<float> AutoencoderKl<T>::decode(const ops::Context& context, const Tensor<float>& latents) const {
  check_input(latents.shape(), config_.latent_channels, "latents");
  return decoder_(context, post_quant_conv_
                               ? post_quant_conv_->accumulate(context, ops::cast<T>(context, latents))
                               : latents);
}

template <class T>
LatentDistribution AutoencoderKl<T>::encode_tiled(const ops::Context& context, const Tensor<float>& pictures,
                                                  const Tiling& tiling) const {
  check_input(pictures.shape(), config_.in_channels, "pictures");
  return split(in_tiles(pictures, tiling.sample_min_size, tiling.latent_min_size, tiling.overlap_factor,
                        [&](const Tensor<float>& tile) { return moments(context, tile); }));
}

template <class T>
Tensor<float> AutoencoderKl<T>::decode_tiled(const ops::Context& context, const Tensor<float>& latents,
                                             const Tiling& tiling) const {
  check_input(latents.shape(), config_.latent_channels, "latents");
  return in_tiles(latents, tiling.latent_min_size, tiling.sample_min_size, tiling.overlap_factor,
                  [&](const Tensor<float>& tile) { return decode(context, tile); });
}

template <class T>
Tiling AutoencoderKl<T>::default_tiling() const {
  return {config_.sample_size, std::max<Index>(1, config_.sample_size / config_.downscale()), 0.25};
}

template class AutoencoderKl<float>;
template class AutoencoderKl<bfloat16>;

}  // namespace daguerre::models

#pragma once

#include <array>
#include <utility>

#include "daguerre/models/autoencoders/autoencoder_kl_cogvideox.hpp"
#include "daguerre/models/autoencoders/detail/film_frames.hpp"
#include "daguerre/nn/conv-inl.hpp"
#include "daguerre/nn/conv3d-inl.hpp"
#include "daguerre/nn/linear-inl.hpp"
#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/norm-inl.hpp"
#include "daguerre/ops/rearrange-inl.hpp"
#include "daguerre/ops/reduce.hpp"

namespace daguerre::models::detail {

inline constexpr int cogvideox_mid_layers = 2;
/// Of the decoder's norms and of the one before the encoder's last convolution, whatever norm_eps is.
inline constexpr float cogvideox_fixed_epsilon = 1e-6f;

/// A causal convolution of 3 x 3 x 3: before the first frame it sees that frame again.
template <class T>
nn::Conv3d<T> cogvideox_conv(const nn::Loader& loader, Index in, Index out) {
  return {loader.sub("conv"), in, out, nn::FilmGeometry::causal(3, 3, 1, nn::FrameBorder::repeated)};
}

/// Whether a chunk's first frame stands alone: it has no other to be joined with, or split into.
inline bool first_stands_alone(Index frames) noexcept {
  return frames % 2 == 1;
}

/// Every frame of `[F, H, W, C]` twice, the first once where it stands alone.
inline Tensor<float> doubled_frames(const ops::Context& context, const Tensor<float>& x) {
  const Index alone = first_stands_alone(x.dim(0)) ? 1 : 0, pairs = x.dim(0) - alone;
  if (pairs == 0) return x;
  const auto rest = x.slice(alone, x.dim(0)).reshape({pairs, 1, x.dim(1) * x.dim(2), x.dim(3)});
  const auto twice = ops::concat<float>(context, std::array{rest, rest}, 1)
                         .reshape({2 * pairs, x.dim(1), x.dim(2), x.dim(3)});
  return alone == 0 ? twice : ops::concat<float>(context, std::array{x.slice(0, 1), twice}, 0);
}

/// The mean of every two frames, the first as it is where it stands alone.
inline Tensor<float> halved_frames(const ops::Context& context, const Tensor<float>& x) {
  const Index alone = first_stands_alone(x.dim(0)) ? 1 : 0, pairs = (x.dim(0) - alone) / 2;
  if (pairs == 0) return x;
  const auto means =
      ops::mean(context, x.slice(alone, x.dim(0)).reshape({pairs, 2, x.dim(1) * x.dim(2), x.dim(3)}), 1)
          .reshape({pairs, x.dim(1), x.dim(2), x.dim(3)});
  return alone == 0 ? means : ops::concat<float>(context, std::array{x.slice(0, 1), means}, 0);
}

/// `maps[f, h, w, C]` for F frames: each serves as many neighbours, the first its own frame where that stands
/// alone.
inline Tensor<float> maps_for_frames(const ops::Context& context, const Tensor<float>& maps, Index frames) {
  const Index given = maps.dim(0);
  if (given == frames) return maps;
  const Index alone = frames > 1 && first_stands_alone(frames) ? 1 : 0;
  std::vector<Tensor<float>> parts;
  for (Index i = 0; i < frames; ++i) {
    const Index from = i < alone ? 0 : alone + (i - alone) * (given - alone) / (frames - alone);
    parts.push_back(maps.slice(from, from + 1));
  }
  return ops::concat<float>(context, parts, 0);
}

template <class T>
CogVideoXNorm<T>::CogVideoXNorm(const nn::Loader& loader, const Options& options)
    : norm_(options.latent_channels > 0 ? loader.sub("norm_layer") : loader, options.channels, options.groups,
            options.epsilon, options.activation) {
  if (options.latent_channels == 0) return;
  maps_.emplace(nn::Linear<float>::side_by_side(
      std::array{loader.sub("conv_y").sub("conv"), loader.sub("conv_b").sub("conv")}, options.latent_channels,
      options.channels, {.window = {1, 1, 1}}));
}

template <class T>
Tensor<T> CogVideoXNorm<T>::operator()(const ops::Context& context, const Tensor<float>& x,
                                       const Tensor<float>& latents) const {
  if (!maps_) return norm_.template apply<T>(context, x);
  const auto maps =
      as_film(maps_for_frames(context, as_pictures(maps_->accumulate(context, latents)), x.dim(1)), 1);
  return norm_.template apply<T>(context, x, {.maps = &maps});
}

template <class T>
CogVideoXResnet<T>::CogVideoXResnet(const nn::Loader& loader, Index in, Index out,
                                    const typename CogVideoXNorm<T>::Options& norm)
    : norm1_(loader.sub("norm1"), {in, norm.groups, norm.epsilon, norm.activation, norm.latent_channels}),
      conv1_(cogvideox_conv<T>(loader.sub("conv1"), in, out)),
      norm2_(loader.sub("norm2"), {out, norm.groups, norm.epsilon, norm.activation, norm.latent_channels}),
      conv2_(cogvideox_conv<T>(loader.sub("conv2"), out, out)) {
  if (in != out)
    conv_shortcut_.emplace(loader.sub("conv_shortcut"), in, out,
                           typename nn::Linear<T>::Options{.window = {1, 1, 1}});
}

template <class T>
Tensor<float> CogVideoXResnet<T>::operator()(const ops::Context& context, Tensor<float> x,
                                             const Tensor<float>& latents, nn::FrameStream<T>& stream) const {
  context.check_stop();
  auto normed = norm1_(context, x, latents);
  if (conv_shortcut_) x = conv_shortcut_->accumulate(context, ops::cast<T>(context, x));
  auto hidden = conv1_(context, std::move(normed), {}, &stream);
  normed = norm2_(context, hidden, latents);
  hidden = {};
  return conv2_(context, std::move(normed), std::move(x), &stream);
}

template <class T>
CogVideoXEncoder<T>::CogVideoXEncoder(const nn::Loader& loader, const CogVideoXAutoencoderConfig& config)
    : conv_in_(
          cogvideox_conv<T>(loader.sub("conv_in"), config.in_channels, config.block_out_channels.front())),
      norm_out_(loader.sub("norm_out"),
                {config.block_out_channels.back(), config.norm_num_groups, cogvideox_fixed_epsilon}),
      conv_out_(cogvideox_conv<T>(loader.sub("conv_out"), config.block_out_channels.back(),
                                  2 * config.latent_channels)) {
  const typename CogVideoXNorm<T>::Options norm{0, config.norm_num_groups, config.norm_eps, config.act_fn};
  Index channels = config.block_out_channels.front();
  const int count = static_cast<int>(config.block_out_channels.size());
  for (int i = 0; i < count; ++i) {
    const auto level = loader.sub("down_blocks", i);
    const Index width = config.block_out_channels[static_cast<std::size_t>(i)];
    Block block;
    for (int j = 0; j < config.layers_per_block; ++j, channels = width)
      block.resnets.emplace_back(level.sub("resnets", j), channels, width, norm);
    if (i + 1 < count) block.downsampler.emplace(level.sub("downsamplers", 0), width, width, 0);
    block.compresses_time = i < config.temporal_levels();
    blocks_.push_back(std::move(block));
  }
  for (int j = 0; j < cogvideox_mid_layers; ++j)
    mid_.emplace_back(loader.sub("mid_block").sub("resnets", j), channels, channels, norm);
}

template <class T>
Tensor<float> CogVideoXEncoder<T>::operator()(const ops::Context& context, const Tensor<float>& films,
                                              nn::FrameStream<T>& stream) const {
  stream.begin_chunk();
  const Tensor<float> none;
  auto x = conv_in_(context, ops::cast<T>(context, films), {}, &stream);
  for (const auto& block : blocks_) {
    for (const auto& resnet : block.resnets) x = resnet(context, std::move(x), none, stream);
    if (!block.downsampler) continue;
    auto frames = as_pictures(x);
    x = {};
    if (block.compresses_time) frames = halved_frames(context, frames);
    x = as_film((*block.downsampler)(context, frames), 1);
  }
  for (const auto& resnet : mid_) x = resnet(context, std::move(x), none, stream);
  return conv_out_(context, norm_out_(context, x, none), {}, &stream);
}

template <class T>
CogVideoXDecoder<T>::CogVideoXDecoder(const nn::Loader& loader, const CogVideoXAutoencoderConfig& config)
    : conv_in_(
          cogvideox_conv<T>(loader.sub("conv_in"), config.latent_channels, config.block_out_channels.back())),
      norm_out_(loader.sub("norm_out"),
                {config.block_out_channels.front(), config.norm_num_groups, cogvideox_fixed_epsilon,
                 ops::Activation::silu, config.latent_channels}),
      conv_out_(
          cogvideox_conv<T>(loader.sub("conv_out"), config.block_out_channels.front(), config.out_channels)) {
  const typename CogVideoXNorm<T>::Options norm{0, config.norm_num_groups, cogvideox_fixed_epsilon,
                                                config.act_fn, config.latent_channels};
  Index channels = config.block_out_channels.back();
  const int count = static_cast<int>(config.block_out_channels.size());
  for (int j = 0; j < cogvideox_mid_layers; ++j)
    mid_.emplace_back(loader.sub("mid_block").sub("resnets", j), channels, channels, norm);
  for (int i = 0; i < count; ++i) {
    const auto level = loader.sub("up_blocks", i);
    const Index width = config.block_out_channels[static_cast<std::size_t>(count - 1 - i)];
    Block block;
    for (int j = 0; j <= config.layers_per_block; ++j, channels = width)
      block.resnets.emplace_back(level.sub("resnets", j), channels, width, norm);
    if (i + 1 < count) block.upsampler.emplace(level.sub("upsamplers", 0), width, width);
    block.compresses_time = i < config.temporal_levels();
    blocks_.push_back(std::move(block));
  }
}

template <class T>
Tensor<float> CogVideoXDecoder<T>::operator()(const ops::Context& context, const Tensor<float>& latents,
                                              nn::FrameStream<T>& stream) const {
  stream.begin_chunk();
  auto x = conv_in_(context, ops::cast<T>(context, latents), {}, &stream);
  for (const auto& resnet : mid_) x = resnet(context, std::move(x), latents, stream);
  for (const auto& block : blocks_) {
    for (const auto& resnet : block.resnets) x = resnet(context, std::move(x), latents, stream);
    if (!block.upsampler) continue;
    auto frames = as_pictures(x);
    x = {};
    frames = (*block.upsampler)(context, frames);
    // Frames that are the same stay so in the convolution, which is of one frame: they are doubled behind it.
    x = as_film(block.compresses_time ? doubled_frames(context, frames) : frames, 1);
  }
  auto normed = norm_out_(context, x, latents);
  x = {};
  return conv_out_(context, std::move(normed), {}, &stream);
}

extern template class CogVideoXNorm<float>;
extern template class CogVideoXNorm<bfloat16>;
extern template class CogVideoXResnet<float>;
extern template class CogVideoXResnet<bfloat16>;
extern template class CogVideoXEncoder<float>;
extern template class CogVideoXEncoder<bfloat16>;
extern template class CogVideoXDecoder<float>;
extern template class CogVideoXDecoder<bfloat16>;

}  // namespace daguerre::models::detail

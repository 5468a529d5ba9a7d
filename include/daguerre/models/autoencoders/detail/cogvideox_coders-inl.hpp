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

/// Every frame twice, the first once where it stands alone.
inline nn::FrameList<float> doubled_frames(const nn::FrameList<float>& frames) {
  const std::size_t alone = first_stands_alone(static_cast<Index>(frames.size())) ? 1 : 0;
  nn::FrameList<float> all;
  for (std::size_t i = 0; i < frames.size(); ++i) all.insert(all.end(), i < alone ? 1 : 2, frames[i]);
  return all;
}

/// The mean of every two frames, the first as it is where it stands alone.
inline nn::FrameList<float> halved_frames(const ops::Context& context, nn::FrameList<float> frames) {
  const Index count = static_cast<Index>(frames.size()), alone = first_stands_alone(count) ? 1 : 0;
  nn::FrameList<float> means;
  if (alone > 0) means.push_back(taken(frames, 0));
  for (Index i = alone; i < count; i += 2) {
    const auto shape = frames[static_cast<std::size_t>(i)].shape();
    const std::array pair{taken(frames, i), taken(frames, i + 1)};
    const auto both = ops::concat<float>(context, pair, 0).reshape({1, 2, shape[1] * shape[2], shape[3]});
    means.push_back(ops::mean(context, both, 1).reshape(shape));
  }
  return means;
}

/// Of `given` maps the one for frame `i` of `frames`: each serves as many neighbours, the first its own frame
/// where that stands alone.
inline Index map_of_frame(Index given, Index frames, Index i) noexcept {
  if (given == frames) return i;
  const Index alone = frames > 1 && first_stands_alone(frames) ? 1 : 0;
  return i < alone ? 0 : alone + (i - alone) * (given - alone) / (frames - alone);
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
typename CogVideoXNorm<T>::Chunk CogVideoXNorm<T>::look_at(const ops::Context& context,
                                                           const nn::FrameList<float>& frames,
                                                           const Tensor<float>& latents) const {
  return {norm_.statistics(context, frames),
          maps_ ? as_pictures(maps_->accumulate(context, latents)) : Tensor<float>(),
          static_cast<Index>(frames.size())};
}

template <class T>
Tensor<T> CogVideoXNorm<T>::operator()(const ops::Context& context, const Chunk& chunk,
                                       const Tensor<float>& frame, Index i) const {
  ops::GroupNormExtras extras{.statistics = chunk.statistics};
  if (!maps_) return norm_.template apply<T>(context, frame, extras);
  const Index map = map_of_frame(chunk.maps.dim(0), chunk.frames, i);
  const auto maps = chunk.maps.slice(map, map + 1);
  extras.maps = &maps;
  return norm_.template apply<T>(context, frame, extras);
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
nn::FrameList<float> CogVideoXResnet<T>::operator()(const ops::Context& context, nn::FrameList<float> x,
                                                    const Tensor<float>& latents,
                                                    nn::FrameStream<T>& stream) const {
  const auto count = static_cast<Index>(x.size());
  const auto outer = norm1_.look_at(context, x, latents);
  auto hidden = conv1_.frame_by_frame(
      context, count, [&](Index i) { return norm1_(context, outer, x[static_cast<std::size_t>(i)], i); }, {},
      stream);
  const auto inner = norm2_.look_at(context, hidden, latents);
  // Frames go as their results come.
  const auto normed = [&](Index i) { return norm2_(context, inner, taken(hidden, i), i); };
  const auto shortcut = [&](Index i) {
    auto own = taken(x, i);
    return conv_shortcut_ ? conv_shortcut_->accumulate(context, ops::cast<T>(context, own)) : own;
  };
  return conv2_.frame_by_frame(context, count, normed, shortcut, stream);
}

/// What a convolution makes of the frames that its norm gives it; they go as their results come.
template <class T>
Tensor<float> cogvideox_out(const ops::Context& context, const CogVideoXNorm<T>& norm,
                            const nn::Conv3d<T>& conv, nn::FrameList<float> x, const Tensor<float>& latents,
                            nn::FrameStream<T>& stream) {
  const auto chunk = norm.look_at(context, x, latents);
  const auto normed = [&](Index i) { return norm(context, chunk, taken(x, i), i); };
  return joined_film(context, conv.frame_by_frame(context, static_cast<Index>(x.size()), normed, {}, stream));
}

/// What a convolution makes of a film's frames.
template <class T>
nn::FrameList<float> cogvideox_in(const ops::Context& context, const nn::Conv3d<T>& conv,
                                  const Tensor<float>& film, nn::FrameStream<T>& stream) {
  return frame_list(conv(context, ops::cast<T>(context, film), {}, &stream));
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
                                              nn::FrameStream<T>& stream, bool is_last) const {
  stream.begin_chunk(is_last);
  const Tensor<float> none;
  auto x = cogvideox_in(context, conv_in_, films, stream);
  for (const auto& block : blocks_) {
    for (const auto& resnet : block.resnets) x = resnet(context, std::move(x), none, stream);
    if (!block.downsampler) continue;
    if (block.compresses_time) x = halved_frames(context, std::move(x));
    for (auto& frame : x) frame = (*block.downsampler)(context, frame);
  }
  for (const auto& resnet : mid_) x = resnet(context, std::move(x), none, stream);
  return cogvideox_out(context, norm_out_, conv_out_, std::move(x), none, stream);
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
                                              nn::FrameStream<T>& stream, bool is_last) const {
  stream.begin_chunk(is_last);
  auto x = cogvideox_in(context, conv_in_, latents, stream);
  for (const auto& resnet : mid_) x = resnet(context, std::move(x), latents, stream);
  for (const auto& block : blocks_) {
    for (const auto& resnet : block.resnets) x = resnet(context, std::move(x), latents, stream);
    if (!block.upsampler) continue;
    for (auto& frame : x) frame = (*block.upsampler)(context, frame);
    // Frames that are the same stay so in the convolution, which is of one frame: they are doubled behind it.
    if (block.compresses_time) x = doubled_frames(x);
  }
  return cogvideox_out(context, norm_out_, conv_out_, std::move(x), latents, stream);
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

#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>

#include "daguerre/models/autoencoders/detail/film_frames.hpp"
#include "daguerre/models/autoencoders/detail/wan_coders.hpp"
#include "daguerre/nn/attention.hpp"
#include "daguerre/nn/conv-inl.hpp"
#include "daguerre/nn/conv3d-inl.hpp"
#include "daguerre/nn/linear-inl.hpp"
#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/norm-inl.hpp"
#include "daguerre/ops/reduce.hpp"
#include "daguerre/ops/resample-inl.hpp"
#include "daguerre/ops/space_time-inl.hpp"

namespace daguerre::models {
namespace detail {

/// `gamma` of a norm that divides by the length of a position's channels, 1e-12 at least, not by the root of
/// their mean square (diffusers' WanRMS_norm).
inline nn::RmsNorm wan_norm(const nn::Loader& loader, const Shape& stored, ops::Activation activation) {
  const Index channels = stored[0];
  return {loader.tensor("gamma", stored).reshape({channels}), 1e-24f / static_cast<float>(channels),
          activation};
}

inline nn::RmsNorm wan_norm(const nn::Loader& loader, Index channels) {
  return wan_norm(loader, {channels, 1, 1, 1}, ops::Activation::silu);
}

template <class T>
nn::Conv3d<T> wan_conv(const nn::Loader& loader, Index in, Index out) {
  return {loader, in, out, nn::FilmGeometry::causal(3, 3, 1)};
}

template <class T>
nn::Conv3d<T> wan_pointwise(const nn::Loader& loader, Index in, Index out) {
  return {loader, in, out, nn::FilmGeometry::causal(1, 1, 0)};
}

template <class T>
WanResidualBlock<T>::WanResidualBlock(const nn::Loader& loader, Index in, Index out)
    : norm1_(wan_norm(loader.sub("norm1"), in)),
      norm2_(wan_norm(loader.sub("norm2"), out)),
      conv1_(wan_conv<T>(loader.sub("conv1"), in, out)),
      conv2_(wan_conv<T>(loader.sub("conv2"), out, out)) {
  if (in != out) conv_shortcut_.emplace(wan_pointwise<T>(loader.sub("conv_shortcut"), in, out));
}

template <class T>
Tensor<float> WanResidualBlock<T>::operator()(const ops::Context& context, Tensor<float> x,
                                              nn::FrameStream<T>& stream) const {
  context.check_stop();
  auto normed = norm1_.template apply<T>(context, x);
  auto shortcut = conv_shortcut_ ? (*conv_shortcut_)(context, ops::cast<T>(context, x)) : std::move(x);
  x = {};
  auto hidden = conv1_(context, std::move(normed), {}, &stream);
  normed = norm2_.template apply<T>(context, hidden);
  hidden = {};
  return conv2_(context, std::move(normed), std::move(shortcut), &stream);
}

template <class T>
WanAttentionBlock<T>::WanAttentionBlock(const nn::Loader& loader, Index channels)
    : engine_(loader.context.engine),
      norm_(wan_norm(loader.sub("norm"), {channels, 1, 1}, ops::Activation::none)),
      to_qkv_(loader.sub("to_qkv"), channels, 3 * channels, {.stored_as_conv = true}),
      proj_(loader.sub("proj"), channels, channels, {.stored_as_conv = true}),
      channels_(channels) {}

template <class T>
Tensor<float> WanAttentionBlock<T>::operator()(const ops::Context& context, const Tensor<float>& x) const {
  const auto tokens = x.reshape({x.dim(0) * x.dim(1), -1, channels_});
  const auto qkv = to_qkv_(context, norm_.template apply<T>(context, tokens));
  using View = ops::TokenView<T>;
  const ops::AttentionArguments<T> arguments{
      .query = View::columns(qkv, 0, channels_),
      .key = View::columns(qkv, channels_, channels_),
      .value = View::columns(qkv, 2 * channels_, channels_),
      .scale = 1.0f / std::sqrt(static_cast<float>(channels_)),
  };
  return proj_.accumulate(context, nn::attend(context, *engine_, arguments), &tokens).reshape(x.shape());
}

template <class T>
WanMidBlock<T>::WanMidBlock(const nn::Loader& loader, Index channels)
    : first_(loader.sub("resnets", 0), channels, channels),
      attention_(loader.sub("attentions", 0), channels),
      second_(loader.sub("resnets", 1), channels, channels) {}

template <class T>
Tensor<float> WanMidBlock<T>::operator()(const ops::Context& context, Tensor<float> x,
                                         nn::FrameStream<T>& stream) const {
  x = attention_(context, first_(context, std::move(x), stream));
  return second_(context, std::move(x), stream);
}

/// A kernel of three frames and one pixel.
inline nn::FilmGeometry wan_time_geometry(int stride) {
  auto geometry = nn::FilmGeometry::causal(3, 1, 0);
  geometry.stride = stride;
  return geometry;
}

template <class T>
WanDownsample<T>::WanDownsample(const nn::Loader& loader, Index channels, bool in_time)
    : conv_(loader.sub("resample", 1), channels, channels, 3, ops::ConvGeometry{2, 0, 0, 1, 1}) {
  if (in_time) time_conv_.emplace(loader.sub("time_conv"), channels, channels, wan_time_geometry(2));
}

template <class T>
Tensor<float> WanDownsample<T>::in_space(const ops::Context& context, const Tensor<float>& x) const {
  return as_film(conv_(context, as_pictures(ops::cast<T>(context, x))), x.dim(0));
}

template <class T>
Tensor<float> WanDownsample<T>::in_time(const ops::Context& context, Tensor<float> x,
                                        nn::FrameStream<T>& stream) const {
  if (!time_conv_) return x;
  const bool is_first = stream.is_first();
  auto y = (*time_conv_)(context, ops::cast<T>(context, x), {}, &stream);  // keeps the frame in any case
  return is_first ? x : y;
}

template <class T>
WanUpsample<T>::WanUpsample(const nn::Loader& loader, Index in, Index out, bool in_time)
    : conv_(loader.sub("resample", 1), in, out, 3, ops::ConvGeometry::same(1)) {
  if (in_time) time_conv_.emplace(loader.sub("time_conv"), in, 2 * in, wan_time_geometry(1));
}

template <class T>
Tensor<float> WanUpsample<T>::operator()(const ops::Context& context, Tensor<float> x, bool is_first,
                                         nn::FrameStream<T>& stream, Tensor<float> residual) const {
  if (time_conv_ && !is_first) {
    auto pairs = (*time_conv_)(context, ops::cast<T>(context, x), {}, &stream);
    x = {};
    x = ops::depth_to_space_time(context, pairs, {.frames = 2},
                                 ops::DepthOrder::frames_rows_columns_channels);
  }
  auto doubled = ops::upsample_nearest<T>(context, as_pictures(x), 2 * x.dim(2), 2 * x.dim(3));
  x = {};
  if (residual.empty()) return as_film(conv_(context, doubled), 1);
  auto added = as_pictures(residual);
  residual = {};
  return as_film(conv_(context, doubled, std::move(added)), 1);
}

}  // namespace detail

template <class T>
WanEncoder<T>::WanEncoder(const nn::Loader& loader, const WanShape& shape)
    : conv_in_(
          detail::wan_conv<float>(loader.sub("conv_in"), shape.in_channels, shape.encoder_widths().front())),
      mid_(loader.sub("mid_block"), shape.encoder_widths().back()),
      norm_out_(detail::wan_norm(loader.sub("norm_out"), shape.encoder_widths().back())),
      conv_out_(
          detail::wan_conv<float>(loader.sub("conv_out"), shape.encoder_widths().back(), 2 * shape.z_dim)) {
  const auto widths = shape.encoder_widths();
  int place = 0;  // where levels are not told apart, layers are numbered one behind the other
  for (std::size_t i = 0; i + 1 < widths.size(); ++i) {
    const auto block = loader.sub("down_blocks", static_cast<int>(i));
    const auto next = [&] { return loader.sub("down_blocks", place++); };
    const bool is_last = i + 2 == widths.size(), halves_time = !is_last && shape.temperal_downsample[i];
    const bool attends = !shape.is_residual && std::count(shape.attn_scales.begin(), shape.attn_scales.end(),
                                                          std::ldexp(1.0, -static_cast<int>(i))) > 0;
    Level level;
    level.channels = widths[i + 1];
    Index channels = widths[i];
    for (int j = 0; j < shape.num_res_blocks; ++j, channels = level.channels) {
      level.resnets.emplace_back(shape.is_residual ? block.sub("resnets", j) : next(), channels,
                                 level.channels);
      if (attends) level.attentions.emplace_back(next(), level.channels);
    }
    if (!is_last)
      level.downsampler.emplace(shape.is_residual ? block.sub("downsampler") : next(), level.channels,
                                halves_time);
    if (shape.is_residual) {
      const Index side = is_last ? 1 : 2;
      level.shortcut = ops::SpaceTimeBlock{.frames = halves_time ? 2 : 1, .rows = side, .columns = side};
    }
    levels_.push_back(std::move(level));
  }
}

template <class T>
detail::WanStream<T> WanEncoder<T>::stream() const {
  detail::WanStream<T> stream;
  stream.levels.resize(levels_.size());
  stream.between.resize(levels_.size());
  return stream;
}

template <class T>
Tensor<float> WanEncoder<T>::through(const ops::Context& context, Tensor<float> x, std::size_t index,
                                     detail::WanStream<T>& stream) const {
  const auto& level = levels_[index];
  Tensor<float> shortcut;
  if (level.shortcut) {
    auto film = x;
    // Where a chunk does not fill the block, nothing is before it.
    if (const Index missing =
            (level.shortcut->frames - film.dim(1) % level.shortcut->frames) % level.shortcut->frames;
        missing > 0)
      film = ops::concat<float>(context,
                                std::array{ops::full(context, film.shape().with(1, missing), 0.0f), film}, 1);
    film = ops::space_time_to_depth(context, film, *level.shortcut,
                                    ops::DepthOrder::channels_frames_rows_columns);
    shortcut = ops::mean(
        context,
        film.reshape({film.dim(1), film.dim(2), film.dim(3), level.channels, film.dim(4) / level.channels}),
        -1);
    shortcut = detail::as_film(shortcut, 1);
  }
  auto y = detail::in_frames(context, std::move(x), level.channels, [&](Tensor<float> frames) {
    stream.levels[index].begin_chunk();
    for (std::size_t i = 0; i < level.resnets.size(); ++i) {
      frames = level.resnets[i](context, std::move(frames), stream.levels[index]);
      if (!level.attentions.empty()) frames = level.attentions[i](context, frames);
    }
    return level.downsampler ? level.downsampler->in_space(context, frames) : std::move(frames);
  });
  if (level.downsampler) {
    stream.between[index].begin_chunk();
    y = level.downsampler->in_time(context, std::move(y), stream.between[index]);
  }
  return shortcut.empty() ? y : ops::add(context, y, shortcut);
}

template <class T>
Tensor<float> WanEncoder<T>::operator()(const ops::Context& context, const Tensor<float>& x,
                                        detail::WanStream<T>& stream) const {
  stream.first.begin_chunk();
  stream.inner.begin_chunk();
  stream.last.begin_chunk();
  auto y = conv_in_(context, x, {}, &stream.first);
  for (std::size_t i = 0; i < levels_.size(); ++i) y = through(context, std::move(y), i, stream);
  y = mid_(context, std::move(y), stream.inner);
  stream.is_first = false;
  return conv_out_(context, norm_out_.template apply<float>(context, y), {}, &stream.last);
}

template <class T>
WanDecoder<T>::WanDecoder(const nn::Loader& loader, const WanShape& shape)
    : conv_in_(detail::wan_conv<float>(loader.sub("conv_in"), shape.z_dim, shape.decoder_widths().front())),
      mid_(loader.sub("mid_block"), shape.decoder_widths().front()),
      norm_out_(detail::wan_norm(loader.sub("norm_out"), shape.decoder_widths().back())),
      conv_out_(detail::wan_conv<float>(loader.sub("conv_out"), shape.decoder_widths().back(),
                                        shape.out_channels)) {
  const auto widths = shape.decoder_widths();
  for (std::size_t i = 0; i + 1 < widths.size(); ++i) {
    const auto block = loader.sub("up_blocks", static_cast<int>(i));
    const bool is_last = i + 2 == widths.size();
    const bool doubles_time = !is_last && shape.temperal_downsample[widths.size() - 3 - i];
    // Without shortcuts the step outwards halves the channels.
    Index channels = i > 0 && !shape.is_residual ? widths[i] / 2 : widths[i];
    Level level;
    level.channels = widths[i + 1];
    level.out = is_last || shape.is_residual ? level.channels : level.channels / 2;
    if (shape.is_residual && !is_last)
      level.shortcut = ops::SpaceTimeBlock{.frames = doubles_time ? 2 : 1, .rows = 2, .columns = 2};
    for (int j = 0; j <= shape.num_res_blocks; ++j, channels = level.channels)
      level.resnets.emplace_back(block.sub("resnets", j), channels, level.channels);
    if (!is_last)
      level.upsampler.emplace(shape.is_residual ? block.sub("upsampler") : block.sub("upsamplers", 0),
                              level.channels, level.out, doubles_time);
    levels_.push_back(std::move(level));
  }
}

template <class T>
detail::WanStream<T> WanDecoder<T>::stream() const {
  detail::WanStream<T> stream;
  stream.levels.resize(levels_.size());
  stream.between.resize(levels_.size());
  return stream;
}

template <class T>
void WanDecoder<T>::outwards(const ops::Context& context, Tensor<float> x, std::size_t index,
                             detail::WanStream<T>& stream, const FilmSink& sink) const {
  const bool is_outermost = index == levels_.size();
  const Index channels = is_outermost ? 0 : levels_[index].channels;
  detail::for_frames(context, std::move(x), channels, [&](Tensor<float> frames) {
    if (is_outermost) {
      stream.last.begin_chunk();
      auto normed = norm_out_.template apply<float>(context, frames);
      frames = {};
      sink(conv_out_(context, std::move(normed), {}, &stream.last));
      return;
    }
    const auto& level = levels_[index];
    Tensor<float> shortcut;
    if (level.shortcut) {
      shortcut = ops::duplicate_to_space_time(context, frames, *level.shortcut, level.channels);
      if (stream.is_first)  // only the last of the frames that the first one stands for is there
        shortcut = ops::narrow(context, shortcut, 1, level.shortcut->frames - 1, 1);
    }
    stream.levels[index].begin_chunk();
    for (const auto& resnet : level.resnets)
      frames = resnet(context, std::move(frames), stream.levels[index]);
    if (level.upsampler) {
      stream.between[index].begin_chunk();
      frames = (*level.upsampler)(context, std::move(frames), stream.is_first, stream.between[index],
                                  std::move(shortcut));
    }
    outwards(context, std::move(frames), index + 1, stream, sink);
  });
}

template <class T>
void WanDecoder<T>::operator()(const ops::Context& context, const Tensor<float>& x,
                               detail::WanStream<T>& stream, const FilmSink& sink) const {
  stream.first.begin_chunk();
  stream.inner.begin_chunk();
  auto y = conv_in_(context, x, {}, &stream.first);
  outwards(context, mid_(context, std::move(y), stream.inner), 0, stream, sink);
  stream.is_first = false;
}

extern template class WanEncoder<float>;
extern template class WanEncoder<bfloat16>;
extern template class WanDecoder<float>;
extern template class WanDecoder<bfloat16>;

}  // namespace daguerre::models

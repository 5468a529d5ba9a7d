#pragma once

#include <array>
#include <cmath>
#include <numbers>
#include <utility>

#include "daguerre/models/autoencoders/detail/edge_conv3d-inl.hpp"
#include "daguerre/models/autoencoders/detail/film_frames.hpp"
#include "daguerre/models/autoencoders/detail/mochi_coders.hpp"
#include "daguerre/nn/attention-inl.hpp"
#include "daguerre/nn/linear-inl.hpp"
#include "daguerre/ops/activation.hpp"
#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/norm-inl.hpp"

namespace daguerre::models {
namespace detail {

inline constexpr int mochi_norm_groups = 32;
inline constexpr Index mochi_head_dim = 32;

inline FrameGroupNorm::FrameGroupNorm(const nn::Loader& loader, Index channels, ops::Activation activation)
    : norm_(loader.sub("norm_layer"), channels, mochi_norm_groups, 1e-5f, activation) {}

template <class T>
Tensor<T> FrameGroupNorm::apply(const ops::Context& context, const Tensor<float>& x) const {
  return as_film(norm_.template apply<T>(context, as_pictures(x)), x.dim(0));
}

template <class T>
MochiResidualBlock<T>::MochiResidualBlock(const nn::Loader& loader, Index channels,
                                          ops::Activation activation)
    : norm1_(loader.sub("norm1"), channels, activation),
      norm2_(loader.sub("norm2"), channels, activation),
      conv1_(loader.sub("conv1"), channels, channels, 3),
      conv2_(loader.sub("conv2"), channels, channels, 3) {}

template <class T>
Tensor<float> MochiResidualBlock<T>::operator()(const ops::Context& context, Tensor<float> x,
                                                nn::FrameStream<T>* stream) const {
  context.check_stop();
  auto normed = norm1_.template apply<T>(context, x);
  auto hidden = conv1_(context, normed, {}, stream);
  normed = {};
  normed = norm2_.template apply<T>(context, hidden);
  hidden = {};
  return conv2_(context, normed, std::move(x), stream);
}

template <class T>
MochiTimeAttention<T>::MochiTimeAttention(const nn::Loader& norm, const nn::Loader& attention, Index channels)
    : norm_(norm, channels, ops::Activation::none),
      attention_(attention, {.query_dim = channels,
                             .heads = static_cast<int>(channels / mochi_head_dim),
                             .head_dim = mochi_head_dim,
                             .qk_norm = nn::QueryKeyNorm{ops::HeadNorm::Kind::l2, false, 1e-5f},
                             .causal = true}) {}

template <class T>
Tensor<float> MochiTimeAttention<T>::operator()(const ops::Context& context, const Tensor<float>& x) const {
  // Every place's frames one behind the other, as tokens.
  const ops::SpaceTimeBlock frames{.frames = x.dim(1)};
  const auto order = ops::DepthOrder::frames_rows_columns_channels;
  const auto tokens =
      ops::space_time_to_depth(context, norm_.template apply<float>(context, x), frames, order)
          .reshape({-1, x.dim(1), x.dim(4)});
  const auto found = attention_(context, ops::cast<T>(context, tokens))
                         .reshape({x.dim(0), 1, x.dim(2), x.dim(3), x.dim(1) * x.dim(4)});
  return ops::add(context, ops::depth_to_space_time(context, found, frames, order), x);
}

template <class T>
MochiLayers<T>::MochiLayers(const nn::Loader& loader, Index channels, int count, bool attends,
                            ops::Activation activation) {
  for (int i = 0; i < count; ++i) {
    resnets_.emplace_back(loader.sub("resnets", i), channels, activation);
    if (attends) attentions_.emplace_back(loader.sub("norms", i), loader.sub("attentions", i), channels);
  }
}

template <class T>
Tensor<float> MochiLayers<T>::operator()(const ops::Context& context, Tensor<float> x,
                                         nn::FrameStream<T>* stream) const {
  for (std::size_t i = 0; i < resnets_.size(); ++i) {
    x = resnets_[i](context, std::move(x), stream);
    if (!attentions_.empty()) x = attentions_[i](context, x);
  }
  return x;
}

}  // namespace detail

template <class T>
MochiEncoder<T>::MochiEncoder(const nn::Loader& loader, const MochiShape& shape)
    : proj_in_(loader.sub("proj_in"), shape.in_channels, shape.encoder_block_out_channels.front()),
      block_in_(loader.sub("block_in"), shape.encoder_block_out_channels.front(),
                shape.layers_per_block.front(), shape.add_attention_block.front(), shape.act_fn),
      block_out_(loader.sub("block_out"), shape.encoder_block_out_channels.back(),
                 shape.layers_per_block.back(), shape.add_attention_block.back(), shape.act_fn),
      norm_out_(loader.sub("norm_out"), shape.encoder_block_out_channels.back(), shape.act_fn),
      proj_out_(loader.sub("proj_out"), shape.encoder_block_out_channels.back(), 2 * shape.latent_channels,
                {.bias = false}) {
  const auto& widths = shape.encoder_block_out_channels;
  for (std::size_t i = 0; i + 1 < widths.size(); ++i) {
    const auto block = loader.sub("down_blocks", static_cast<int>(i));
    steps_.push_back(
        {detail::EdgeConv3d<T>::of_blocks(block.sub("conv_in"), widths[i], widths[i + 1],
                                          shape.temporal_expansions[i], shape.spatial_expansions[i]),
         detail::MochiLayers<T>(block, widths[i + 1], shape.layers_per_block[i + 1],
                                shape.add_attention_block[i + 1], shape.act_fn)});
  }
}

template <class T>
Tensor<float> MochiEncoder<T>::operator()(const ops::Context& context, const Tensor<float>& x) const {
  constexpr float turn = 2.0f * std::numbers::pi_v<float>;
  const std::array frequencies{64.0f * turn, 128.0f * turn};
  auto y = proj_in_.accumulate(context, ops::fourier_features(context, x, frequencies));
  y = block_in_(context, std::move(y));
  for (const auto& step : steps_)
    y = step.layers(context, step.conv_in(context, ops::cast<T>(context, std::exchange(y, {}))));
  y = block_out_(context, std::move(y));
  return proj_out_.accumulate(context, norm_out_.template apply<float>(context, y));
}

template <class T>
MochiDecoder<T>::MochiDecoder(const nn::Loader& loader, const MochiShape& shape)
    : conv_in_(loader.sub("conv_in"), shape.latent_channels, shape.decoder_block_out_channels.back(),
               nn::FilmGeometry::causal(1, 1, 0)),
      block_in_(loader.sub("block_in"), shape.decoder_block_out_channels.back(),
                shape.layers_per_block.back(), false, shape.act_fn),
      block_out_(loader.sub("block_out"), shape.decoder_block_out_channels.front(),
                 shape.layers_per_block.front(), false, shape.act_fn),
      activation_(shape.act_fn),
      outermost_(shape.decoder_block_out_channels.front()),
      proj_out_(loader.sub("proj_out"), shape.decoder_block_out_channels.front(), shape.out_channels) {
  const auto& widths = shape.decoder_block_out_channels;
  for (std::size_t i = 0; i + 1 < widths.size(); ++i) {
    const auto up = loader.sub("up_blocks", static_cast<int>(i));
    const std::size_t level = widths.size() - 1 - i;  // that it starts from
    const Index side = shape.spatial_expansions[level - 1];
    const ops::SpaceTimeBlock block{
        .frames = shape.temporal_expansions[level - 1], .rows = side, .columns = side};
    steps_.push_back(
        {detail::MochiLayers<T>(up, widths[level], shape.layers_per_block[level], false, shape.act_fn),
         nn::Linear<T>(up.sub("proj"), widths[level], widths[level - 1] * block.size()), block,
         widths[level]});
  }
}

template <class T>
void MochiDecoder<T>::outwards(const ops::Context& context, Tensor<float> x, std::size_t index,
                               Stream& stream, const FilmSink& sink) const {
  auto& own = stream[index + 1];
  const bool is_outermost = index == steps_.size();
  // Steps make more numbers than they are given.
  const Index channels = is_outermost ? outermost_ : 2 * steps_[index].channels;
  detail::for_frames(context, std::move(x), channels, [&](Tensor<float> frames) {
    own.begin_chunk();
    if (is_outermost) {
      frames = ops::activate(context, block_out_(context, std::move(frames), &own), activation_);
      sink(proj_out_.accumulate(context, ops::cast<T>(context, frames)));
      return;
    }
    const auto& step = steps_[index];
    frames = step.layers(context, std::move(frames), &own);
    frames = step.proj.accumulate(context, ops::cast<T>(context, frames));
    frames =
        ops::depth_to_space_time(context, frames, step.block, ops::DepthOrder::channels_frames_rows_columns);
    outwards(context, std::move(frames), index + 1, stream, sink);
  });
}

template <class T>
void MochiDecoder<T>::operator()(const ops::Context& context, const Tensor<float>& x, Stream& stream,
                                 const FilmSink& sink) const {
  stream.front().begin_chunk();
  auto y = block_in_(context, conv_in_(context, ops::cast<T>(context, x)), &stream.front());
  outwards(context, std::move(y), 0, stream, sink);
}

extern template class MochiEncoder<float>;
extern template class MochiEncoder<bfloat16>;
extern template class MochiDecoder<float>;
extern template class MochiDecoder<bfloat16>;

}  // namespace daguerre::models

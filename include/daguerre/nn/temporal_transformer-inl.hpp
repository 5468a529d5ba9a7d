#pragma once

#include <numeric>
#include <string>
#include <utility>

#include "daguerre/nn/temporal_transformer.hpp"
#include "daguerre/nn/transformer-inl.hpp"
#include "daguerre/ops/embedding.hpp"
#include "daguerre/ops/rearrange-inl.hpp"

namespace daguerre::nn {
namespace detail {

inline Index film_count(const Shape& shape, Index frames) {
  if (shape.rank() != 4 || frames < 1 || shape[0] % frames != 0)
    throw ArgumentError("temporal_transformer",
                        to_string(shape) + " are no films of " + std::to_string(frames) + " frames");
  return shape[0] / frames;
}

/// Tokens of frames, `[N frames, P, C]` in any shape, as the frames of each pixel, `[N P, frames, C]`.
template <class T>
Tensor<T> frames_of_pixels(const ops::Context& context, const Tensor<T>& x, Index films, Index frames) {
  const Index channels = x.dim(-1);
  return ops::swap_axes(context, x.reshape({films, frames, -1, channels})).reshape({-1, frames, channels});
}

/// The inverse: `[N frames, P, C]`.
template <class T>
Tensor<T> pixels_of_frames(const ops::Context& context, const Tensor<T>& x, Index films) {
  const Index frames = x.dim(1), channels = x.dim(2);
  return ops::swap_axes(context, x.reshape({films, -1, frames, channels}))
      .reshape({films * frames, -1, channels});
}

inline TransformerOptions temporal_block_options(int heads, Index head_dim) {
  TransformerOptions options;
  options.num_attention_heads = heads;
  options.attention_head_dim = head_dim;
  options.dim = heads * head_dim;
  return options;
}

/// A block whose attentions see the frames of `x[N, frames, C]` window by window.
template <class T>
Tensor<float> in_windows(const ops::Context& context, const BasicTransformerBlock<T>& block,
                         const Tensor<float>& x, const TemporalWindows& options) {
  const auto windows = temporal_windows(options, x.dim(1));
  if (windows.size() == 1) return block(context, x, nullptr, nullptr);
  std::vector<Tensor<float>> frames(static_cast<std::size_t>(x.dim(1)));
  for (const auto& window : windows) {
    const auto length = static_cast<Index>(window.shares.size());
    const auto seen =
        block.attentions(context, ops::narrow(context, x, 1, window.begin, length), nullptr, nullptr);
    for (Index i = window.first; i < length; ++i) {
      const auto frame = ops::narrow(context, seen, 1, i, 1);
      const float share = window.shares[static_cast<std::size_t>(i)];
      auto& sum = frames[static_cast<std::size_t>(window.begin + i)];
      sum = sum.empty() ? ops::affine(context, frame, share, 0.0f)
                        : ops::weighted_sum(context, frame, share, std::move(sum), 1.0f);
    }
  }
  return block.perceptron(context, ops::concat<float>(context, frames, 1));
}

inline int checked_heads(const Loader& loader, Index channels, int heads) {
  if (heads < 1 || channels % heads != 0)
    throw ConfigError("transformer", loader.scope.prefix() + ": " + std::to_string(heads) +
                                         " heads do not divide " + std::to_string(channels) + " channels");
  return heads;
}

}  // namespace detail

template <class T>
TemporalTransformer<T>::TemporalTransformer(const Loader& loader, const Options& options)
    : norm_(loader.sub("norm"), options.in_channels, options.norm_num_groups, 1e-6f),
      proj_in_(loader.sub("proj_in"), options.in_channels,
               options.num_attention_heads * options.attention_head_dim),
      proj_out_(loader.sub("proj_out"), options.num_attention_heads * options.attention_head_dim,
                options.in_channels) {
  auto block = detail::temporal_block_options(options.num_attention_heads, options.attention_head_dim);
  block.double_self_attention = options.double_self_attention;
  block.positions = options.positions;
  for (int i = 0; i < options.num_layers; ++i)
    blocks_.emplace_back(loader.sub("transformer_blocks", i), block);
}

template <class T>
Tensor<float> TemporalTransformer<T>::operator()(const ops::Context& context, const Tensor<float>& x,
                                                 Index frames, const TemporalWindows* windows) const {
  const Index films = detail::film_count(x.shape(), frames);
  const auto pixels = x.reshape({films, -1, x.dim(-1)});
  auto tokens = proj_in_.accumulate(
      context,
      detail::frames_of_pixels(context, norm_.template apply<float>(context, pixels), films, frames));
  for (const auto& block : blocks_)
    tokens = windows != nullptr ? detail::in_windows(context, block, tokens, *windows)
                                : block(context, tokens, nullptr, nullptr);
  tokens = detail::pixels_of_frames(context, tokens, films);
  const auto residual = x.reshape({x.dim(0), -1, x.dim(-1)});
  return proj_out_.accumulate(context, tokens, &residual).reshape(x.shape());
}

template <class T>
TemporalTransformerBlock<T>::TemporalTransformerBlock(const Loader& loader, const TransformerOptions& options)
    : norm_in_(loader.sub("norm_in"), options.dim, detail::transformer_norm_epsilon),
      ff_in_(loader.sub("ff_in"), options.dim),
      block_(loader, options) {}

template <class T>
Tensor<float> TemporalTransformerBlock<T>::operator()(const ops::Context& context, const Tensor<float>& x,
                                                      const Tensor<T>* encoder_hidden_states) const {
  return block_(context, ff_in_(context, norm_in_.template apply<T>(context, x), &x), encoder_hidden_states,
                nullptr);
}

template <class T>
SpaceTimeTransformer<T>::SpaceTimeTransformer(const Loader& loader, const Options& options)
    : channels_(options.in_channels),
      norm_(loader.sub("norm"), options.in_channels, 32, 1e-6f),
      proj_in_(loader.sub("proj_in"), options.in_channels, options.in_channels),
      time_pos_embed_(loader.sub("time_pos_embed"), options.in_channels, 4 * options.in_channels,
                      {.out_channels = options.in_channels}),
      mixer_(loader.sub("time_mixer"), false),
      proj_out_(loader.sub("proj_out"), options.in_channels, options.in_channels) {
  const int heads = detail::checked_heads(loader, options.in_channels, options.num_attention_heads);
  auto block = detail::temporal_block_options(heads, options.in_channels / heads);
  block.cross_attention_dim = options.cross_attention_dim;
  for (int i = 0; i < options.num_layers; ++i)
    layers_.push_back({BasicTransformerBlock<T>(loader.sub("transformer_blocks", i), block),
                       TemporalTransformerBlock<T>(loader.sub("temporal_transformer_blocks", i), block)});
}

template <class T>
Tensor<float> SpaceTimeTransformer<T>::places(const ops::Context& context, Index frames) const {
  std::vector<float> numbers(static_cast<std::size_t>(frames));
  std::iota(numbers.begin(), numbers.end(), 0.0f);
  return time_pos_embed_(context, ops::timestep_embedding(context, numbers, channels_));
}

template <class T>
Tensor<float> SpaceTimeTransformer<T>::operator()(const ops::Context& context, const Tensor<float>& x,
                                                  const Tensor<T>* encoder_hidden_states,
                                                  Index frames) const {
  const Index films = detail::film_count(x.shape(), frames);
  const auto pixels = x.reshape({x.dim(0), -1, x.dim(-1)});
  const auto place = places(context, frames);
  auto tokens = proj_in_.accumulate(context, norm_.template apply<T>(context, pixels));
  for (const auto& layer : layers_) {
    tokens = layer.spatial(context, tokens, encoder_hidden_states, nullptr);
    auto along = ops::add_to_each(context, detail::frames_of_pixels(context, tokens, films, frames), place);
    along = layer.temporal(context, along, encoder_hidden_states);
    along = detail::pixels_of_frames(context, along, films);
    tokens = mixer_(context, tokens, std::move(along));
  }
  return proj_out_.accumulate(context, ops::cast<T>(context, tokens), &pixels).reshape(x.shape());
}

extern template class TemporalTransformer<float>;
extern template class TemporalTransformer<bfloat16>;
extern template class TemporalTransformerBlock<float>;
extern template class TemporalTransformerBlock<bfloat16>;
extern template class SpaceTimeTransformer<float>;
extern template class SpaceTimeTransformer<bfloat16>;

}  // namespace daguerre::nn

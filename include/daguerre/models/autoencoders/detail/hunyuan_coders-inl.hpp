#pragma once

#include <array>
#include <cmath>
#include <utility>

#include "daguerre/models/autoencoders/detail/edge_conv3d-inl.hpp"
#include "daguerre/models/autoencoders/detail/film_frames.hpp"
#include "daguerre/models/autoencoders/detail/hunyuan_coders.hpp"
#include "daguerre/nn/attention.hpp"
#include "daguerre/nn/linear-inl.hpp"
#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/norm-inl.hpp"
#include "daguerre/ops/resample-inl.hpp"

namespace daguerre::models {
namespace detail {

inline constexpr float hunyuan_norm_epsilon = 1e-6f;

inline nn::GroupNorm hunyuan_norm(const nn::Loader& loader, const HunyuanShape& shape, Index channels) {
  return {loader, channels, shape.norm_num_groups, hunyuan_norm_epsilon, shape.act_fn};
}

/// The norm before the last convolution, whose activation act_fn has no say in.
inline nn::GroupNorm hunyuan_out_norm(const nn::Loader& loader, const HunyuanShape& shape) {
  return {loader.sub("conv_norm_out"), shape.block_out_channels.front(), shape.norm_num_groups,
          hunyuan_norm_epsilon, ops::Activation::silu};
}

template <class T>
HunyuanResidualBlock<T>::HunyuanResidualBlock(const nn::Loader& loader, const HunyuanShape& shape, Index in,
                                              Index out)
    : norm1_(hunyuan_norm(loader.sub("norm1"), shape, in)),
      norm2_(hunyuan_norm(loader.sub("norm2"), shape, out)),
      conv1_(loader.sub("conv1"), in, out, 3),
      conv2_(loader.sub("conv2"), out, out, 3) {
  if (in != out) conv_shortcut_.emplace(loader.sub("conv_shortcut"), in, out, 1);
}

template <class T>
nn::FrameList<float> HunyuanResidualBlock<T>::operator()(const ops::Context& context,
                                                         nn::FrameList<float> x) const {
  const auto count = static_cast<Index>(x.size());
  const auto outer = norm1_.statistics(context, x);
  auto hidden = conv1_.frame_by_frame(context, count, [&](Index i) {
    return norm1_.template apply<T>(context, x[static_cast<std::size_t>(i)], {.statistics = outer});
  });
  const auto inner = norm2_.statistics(context, hidden);
  const auto normed = [&](Index i) {
    return norm2_.template apply<T>(context, taken(hidden, i), {.statistics = inner});
  };
  const auto shortcut = [&](Index i) {
    auto own = taken(x, i);
    return conv_shortcut_ ? as_pictures((*conv_shortcut_)(context, as_film(ops::cast<T>(context, own), 1)))
                          : own;
  };
  return conv2_.frame_by_frame(context, count, normed, shortcut);
}

template <class T>
FrameCausalAttention<T>::FrameCausalAttention(const nn::Loader& loader, Index channels, int groups)
    : engine_(loader.context.engine),
      norm_(loader.sub("group_norm"), channels, groups, hunyuan_norm_epsilon),
      to_qkv_(nn::Linear<T>::side_by_side(
          std::array{loader.sub("to_q"), loader.sub("to_k"), loader.sub("to_v")}, channels, channels)),
      to_out_(loader.sub("to_out", 0), channels, channels),
      channels_(channels) {}

template <class T>
Tensor<float> FrameCausalAttention<T>::operator()(const ops::Context& context, const Tensor<float>& x) const {
  const Index frame = x.dim(2) * x.dim(3), length = x.dim(1) * frame;
  const auto tokens = x.reshape({x.dim(0), length, channels_});
  const auto qkv = to_qkv_(context, norm_.template apply<T>(context, tokens));
  using View = ops::TokenView<T>;
  std::vector<Tensor<T>> found;
  for (Index n = 0; n < x.dim(0); ++n)
    for (Index begin = 0; begin < length; begin += frame) {
      context.check_stop();
      const auto seen = qkv[n].slice(0, begin + frame).reshape({1, begin + frame, 3 * channels_});
      const auto own = qkv[n].slice(begin, begin + frame).reshape({1, frame, 3 * channels_});
      found.push_back(
          nn::attend(context, *engine_,
                     ops::AttentionArguments<T>{.query = View::columns(own, 0, channels_),
                                                .key = View::columns(seen, channels_, channels_),
                                                .value = View::columns(seen, 2 * channels_, channels_),
                                                .scale = 1.0f / std::sqrt(static_cast<float>(channels_))}));
    }
  const auto joined = ops::concat<T>(context, found, 1).reshape(tokens.shape());
  return to_out_.accumulate(context, joined, &tokens).reshape(x.shape());
}

template <class T>
HunyuanMidBlock<T>::HunyuanMidBlock(const nn::Loader& loader, const HunyuanShape& shape)
    : first_(loader.sub("resnets", 0), shape, shape.block_out_channels.back(),
             shape.block_out_channels.back()),
      second_(loader.sub("resnets", 1), shape, shape.block_out_channels.back(),
              shape.block_out_channels.back()) {
  if (shape.mid_block_add_attention)
    attention_.emplace(loader.sub("attentions", 0), shape.block_out_channels.back(), shape.norm_num_groups);
}

template <class T>
nn::FrameList<float> HunyuanMidBlock<T>::operator()(const ops::Context& context,
                                                    nn::FrameList<float> x) const {
  x = first_(context, std::move(x));
  if (attention_) x = frame_list((*attention_)(context, joined_film(context, std::exchange(x, {}))));
  return second_(context, std::move(x));
}

template <class T>
nn::FrameList<float> HunyuanUpsample<T>::operator()(const ops::Context& context,
                                                    nn::FrameList<float> x) const {
  const Index factor = in_space_ ? 2 : 1, count = static_cast<Index>(x.size());
  Tensor<T> pixels;  // of the frame that comes last, which may come again
  const auto frame = [&](Index i) {
    const Index from = in_time_ ? (i + 1) / 2 : i;
    if (auto own = taken(x, from); !own.empty())
      pixels = ops::upsample_nearest<T>(context, own, factor * own.dim(1), factor * own.dim(2));
    return pixels;
  };
  return conv_.frame_by_frame(context, in_time_ ? 2 * count - 1 : count, frame);
}

/// What a convolution makes of the frames that its norm gives it; they go as their results come.
inline Tensor<float> hunyuan_out(const ops::Context& context, const nn::GroupNorm& norm,
                                 const EdgeConv3d<float>& conv, nn::FrameList<float> x) {
  const auto statistics = norm.statistics(context, x);
  const auto normed = [&](Index i) {
    return norm.apply<float>(context, taken(x, i), {.statistics = statistics});
  };
  return joined_film(context, conv.frame_by_frame(context, static_cast<Index>(x.size()), normed));
}

}  // namespace detail

template <class T>
HunyuanEncoder<T>::HunyuanEncoder(const nn::Loader& loader, const HunyuanShape& shape)
    : conv_in_(loader.sub("conv_in"), shape.in_channels, shape.block_out_channels.front(), 3),
      mid_(loader.sub("mid_block"), shape),
      norm_out_(loader.sub("conv_norm_out"), shape.block_out_channels.back(), shape.norm_num_groups,
                detail::hunyuan_norm_epsilon, ops::Activation::silu),
      conv_out_(loader.sub("conv_out"), shape.block_out_channels.back(), 2 * shape.latent_channels, 3) {
  Index channels = shape.block_out_channels.front();
  for (std::size_t i = 0; i < shape.block_out_channels.size(); ++i) {
    const auto block = loader.sub("down_blocks", static_cast<int>(i));
    const Index width = shape.block_out_channels[i];
    Level level;
    for (int j = 0; j < shape.layers_per_block; ++j, channels = width)
      level.resnets.emplace_back(block.sub("resnets", j), shape, channels, width);
    if (shape.changes_space(i) || shape.changes_time(i))
      level.downsampler.emplace(block.sub("downsamplers", 0).sub("conv"), width, width, 3,
                                shape.changes_time(i) ? 2 : 1, shape.changes_space(i) ? 2 : 1);
    levels_.push_back(std::move(level));
  }
}

template <class T>
Tensor<float> HunyuanEncoder<T>::operator()(const ops::Context& context, const Tensor<float>& x) const {
  auto y = detail::frame_list(conv_in_(context, x));
  for (const auto& level : levels_) {
    for (const auto& resnet : level.resnets) y = resnet(context, std::move(y));
    if (level.downsampler)
      y = level.downsampler->frame_by_frame(context, static_cast<Index>(y.size()), [&](Index i) {
        return ops::cast<T>(context, detail::taken(y, i));
      });
  }
  return detail::hunyuan_out(context, norm_out_, conv_out_, mid_(context, std::move(y)));
}

template <class T>
HunyuanDecoder<T>::HunyuanDecoder(const nn::Loader& loader, const HunyuanShape& shape)
    : conv_in_(loader.sub("conv_in"), shape.latent_channels, shape.block_out_channels.back(), 3),
      mid_(loader.sub("mid_block"), shape),
      norm_out_(detail::hunyuan_out_norm(loader, shape)),
      conv_out_(loader.sub("conv_out"), shape.block_out_channels.front(), shape.out_channels, 3) {
  const std::size_t count = shape.block_out_channels.size();
  Index channels = shape.block_out_channels.back();
  for (std::size_t i = 0; i < count; ++i) {
    const auto block = loader.sub("up_blocks", static_cast<int>(i));
    const Index width = shape.block_out_channels[count - 1 - i];
    Level level;
    for (int j = 0; j <= shape.layers_per_block; ++j, channels = width)
      level.resnets.emplace_back(block.sub("resnets", j), shape, channels, width);
    if (shape.changes_space(i) || shape.changes_time(i))
      level.upsampler.emplace(block.sub("upsamplers", 0), width, shape.changes_space(i),
                              shape.changes_time(i));
    levels_.push_back(std::move(level));
  }
}

template <class T>
Tensor<float> HunyuanDecoder<T>::operator()(const ops::Context& context, const Tensor<float>& x) const {
  auto y = mid_(context, detail::frame_list(conv_in_(context, x)));
  for (const auto& level : levels_) {
    for (const auto& resnet : level.resnets) y = resnet(context, std::move(y));
    if (level.upsampler) y = (*level.upsampler)(context, std::move(y));
  }
  return detail::hunyuan_out(context, norm_out_, conv_out_, std::move(y));
}

extern template class HunyuanEncoder<float>;
extern template class HunyuanEncoder<bfloat16>;
extern template class HunyuanDecoder<float>;
extern template class HunyuanDecoder<bfloat16>;

}  // namespace daguerre::models

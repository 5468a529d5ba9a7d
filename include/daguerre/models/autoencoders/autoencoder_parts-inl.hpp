#pragma once

#include <utility>

#include "daguerre/models/autoencoders/autoencoder_parts.hpp"
#include "daguerre/nn/attention-inl.hpp"
#include "daguerre/nn/resnet-inl.hpp"
#include "daguerre/ops/elementwise-inl.hpp"

namespace daguerre::models {
namespace detail {

inline constexpr float autoencoder_norm_epsilon = 1e-6f;

inline nn::ResnetOptions autoencoder_resnet_options(const AutoencoderShape& shape, Index in, Index out) {
  return {.in_channels = in,
          .out_channels = out,
          .groups = shape.norm_num_groups,
          .epsilon = autoencoder_norm_epsilon,
          .non_linearity = shape.act_fn};
}

/// The norm before the last convolution, whose activation act_fn has no say in.
inline nn::GroupNorm autoencoder_out_norm(const nn::Loader& loader, const AutoencoderShape& shape,
                                          Index channels) {
  return {loader, channels, shape.norm_num_groups, autoencoder_norm_epsilon, ops::Activation::silu};
}

}  // namespace detail

template <class T>
AutoencoderLayer<T>::AutoencoderLayer(const nn::Loader& block, int index, const AutoencoderShape& shape,
                                      Index in, Index out, bool attends)
    : resnet(block.sub("resnets", index), detail::autoencoder_resnet_options(shape, in, out)) {
  if (!attends) return;
  attention.emplace(block.sub("attentions", index), typename nn::SpatialAttention<T>::Options{
                                                        .channels = out,
                                                        .norm_num_groups = shape.norm_num_groups,
                                                        .norm_epsilon = detail::autoencoder_norm_epsilon});
}

template <class T>
AutoencoderMidBlock<T>::AutoencoderMidBlock(const nn::Loader& loader, const AutoencoderShape& shape)
    : first_(loader, 0, shape, shape.block_out_channels.back(), shape.block_out_channels.back(),
             shape.mid_block_add_attention),
      second_(loader, 1, shape, shape.block_out_channels.back(), shape.block_out_channels.back(), false) {}

template <class T>
Tensor<float> AutoencoderMidBlock<T>::operator()(const ops::Context& context, Tensor<float> x) const {
  x = first_.resnet(context, std::move(x));
  if (first_.attention) x = (*first_.attention)(context, x);
  return second_.resnet(context, std::move(x));
}

template <class T>
AutoencoderEncoder<T>::AutoencoderEncoder(const nn::Loader& loader, const AutoencoderShape& shape, Index out)
    : conv_in_(loader.sub("conv_in"), shape.in_channels, shape.block_out_channels.front(), 3,
               ops::ConvGeometry::same(1)),
      mid_(loader.sub("mid_block"), shape),
      norm_out_(
          detail::autoencoder_out_norm(loader.sub("conv_norm_out"), shape, shape.block_out_channels.back())),
      conv_out_(loader.sub("conv_out"), shape.block_out_channels.back(), out, 3, ops::ConvGeometry::same(1)) {
  Index channels = shape.block_out_channels.front();
  const std::size_t count = shape.block_out_channels.size();
  for (std::size_t i = 0; i < count; ++i) {
    const auto level = loader.sub("down_blocks", static_cast<int>(i));
    const Index width = shape.block_out_channels[i];
    Block block;
    for (int j = 0; j < shape.layers_per_block; ++j, channels = width)
      block.layers.emplace_back(level, j, shape, channels, width, shape.down_attention[i]);
    if (i + 1 < count) block.downsampler.emplace(level.sub("downsamplers", 0), width, width, 0);
    blocks_.push_back(std::move(block));
  }
}

template <class T>
Tensor<float> AutoencoderEncoder<T>::operator()(const ops::Context& context, const Tensor<float>& x) const {
  auto y = conv_in_(context, ops::cast<T>(context, x));
  for (const auto& block : blocks_) {
    for (const auto& layer : block.layers) {
      y = layer.resnet(context, std::move(y));
      if (layer.attention) y = (*layer.attention)(context, y);
    }
    if (block.downsampler) y = (*block.downsampler)(context, y);
  }
  return conv_out_(context, norm_out_.template apply<T>(context, mid_(context, std::move(y))));
}

template <class T>
AutoencoderDecoder<T>::AutoencoderDecoder(const nn::Loader& loader, const AutoencoderShape& shape)
    : conv_in_(loader.sub("conv_in"), shape.latent_channels, shape.block_out_channels.back(), 3,
               ops::ConvGeometry::same(1)),
      mid_(loader.sub("mid_block"), shape),
      norm_out_(
          detail::autoencoder_out_norm(loader.sub("conv_norm_out"), shape, shape.block_out_channels.front())),
      conv_out_(loader.sub("conv_out"), shape.block_out_channels.front(), shape.out_channels, 3,
                ops::ConvGeometry::same(1)) {
  Index channels = shape.block_out_channels.back();
  const std::size_t count = shape.block_out_channels.size();
  for (std::size_t i = 0; i < count; ++i) {
    const auto level = loader.sub("up_blocks", static_cast<int>(i));
    const Index width = shape.block_out_channels[count - 1 - i];
    Block block;
    for (int j = 0; j <= shape.layers_per_block; ++j, channels = width)
      block.layers.emplace_back(level, j, shape, channels, width, shape.up_attention[count - 1 - i]);
    if (i + 1 < count) block.upsampler.emplace(level.sub("upsamplers", 0), width, width);
    blocks_.push_back(std::move(block));
  }
}

template <class T>
Tensor<float> AutoencoderDecoder<T>::operator()(const ops::Context& context, const Tensor<float>& x) const {
  auto y = mid_(context, conv_in_(context, ops::cast<T>(context, x)));
  Tensor<T> rounded;  // instead of y, where the next block takes it
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    for (const auto& layer : blocks_[i].layers) {
      y = rounded.empty() ? layer.resnet(context, std::move(y))
                          : layer.resnet.of_rounded(context, std::exchange(rounded, {}));
      if (layer.attention) y = (*layer.attention)(context, y);
    }
    if (!blocks_[i].upsampler) continue;
    if (i + 1 < blocks_.size() && blocks_[i + 1].layers.front().resnet.takes_rounded())
      rounded = blocks_[i].upsampler->rounded(context, std::exchange(y, {}));
    else
      y = (*blocks_[i].upsampler)(context, y);
  }
  const auto normed = norm_out_.template apply<T>(context, y);
  y = {};
  return conv_out_(context, normed);
}

extern template struct AutoencoderLayer<float>;
extern template struct AutoencoderLayer<bfloat16>;
extern template class AutoencoderMidBlock<float>;
extern template class AutoencoderMidBlock<bfloat16>;
extern template class AutoencoderEncoder<float>;
extern template class AutoencoderEncoder<bfloat16>;
extern template class AutoencoderDecoder<float>;
extern template class AutoencoderDecoder<bfloat16>;

}  // namespace daguerre::models

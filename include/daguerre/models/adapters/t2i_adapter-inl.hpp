#pragma once

#include <array>
#include <string>

#include "daguerre/models/adapters/t2i_adapter.hpp"
#include "daguerre/nn/conv-inl.hpp"
#include "daguerre/nn/linear-inl.hpp"
#include "daguerre/ops/activation.hpp"
#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/rearrange-inl.hpp"
#include "daguerre/ops/resample-inl.hpp"

namespace daguerre::models {
namespace detail {

/// Mean of 2 x 2 windows, of as many of their pixels as there are (torch's avg_pool2d with ceil_mode): a last
/// row without a partner is its own.
inline Tensor<float> halved_upwards(const ops::Context& context, Tensor<float> x) {
  for (const int axis : {1, 2})
    if (x.dim(axis) % 2 != 0)
      x = ops::concat<float>(context, std::array{x, ops::narrow(context, x, axis, x.dim(axis) - 1, 1)}, axis);
  return ops::average_pool_2x2(context, x);
}

}  // namespace detail

template <class T>
typename T2IAdapter<T>::Block T2IAdapter<T>::block(const nn::Loader& loader, Index in, Index out,
                                                   bool halves) const {
  const bool light = config_.kind == T2IAdapterConfig::Kind::light;
  const Index inner = light ? out / 4 : out;
  const int second = light ? 3 : 1;
  const typename nn::Linear<T>::Options one_pixel{.stored_as_conv = true};
  Block result;
  result.halves = halves;
  if (light || in != out) result.in.emplace_back(loader.sub("in_conv"), in, inner, one_pixel);
  for (int i = 0; i < config_.num_res_blocks; ++i) {
    const auto layer = loader.sub("resnets", i);
    result.layers.push_back({nn::Conv2d<T>(layer.sub("block1"), inner, inner, 3, ops::ConvGeometry::same(1)),
                             nn::Conv2d<T>(layer.sub("block2"), inner, inner, second,
                                           ops::ConvGeometry::same((second - 1) / 2))});
  }
  if (light) result.out.emplace_back(loader.sub("out_conv"), inner, out, one_pixel);
  return result;
}

template <class T>
T2IAdapter<T>::T2IAdapter(const T2IAdapterConfig& config, const nn::Loader& root) : config_(config) {
  using Kind = T2IAdapterConfig::Kind;
  const auto loader = root.sub("adapter");
  const Index unshuffled = config.in_channels * config.downscale_factor * config.downscale_factor;
  const bool light = config.kind == Kind::light;
  if (!light)
    conv_in_.emplace_back(loader.sub("conv_in"), unshuffled, config.channels.front(), 3,
                          ops::ConvGeometry::same(1));
  const auto channels = config.feature_channels();
  for (std::size_t i = 0; i < channels.size(); ++i) {
    Index in = i == 0 ? (light ? unshuffled : channels[0]) : channels[i - 1];
    // Only its second and third blocks go by what came before.
    if (config.kind == Kind::full_xl && i > 2) in = channels[i];
    const bool halves = config.kind == Kind::full_xl ? i == 2 : i > 0;
    blocks_.push_back(block(loader.sub("body", static_cast<int>(i)), in, channels[i], halves));
  }
}

template <class T>
std::vector<Tensor<float>> T2IAdapter<T>::operator()(const ops::Context& context,
                                                     const Tensor<float>& picture) const {
  const Index factor = config_.downscale_factor;
  if (picture.rank() != 4 || picture.empty() || picture.dim(3) != config_.in_channels ||
      picture.dim(1) % factor != 0 || picture.dim(2) % factor != 0)
    throw ArgumentError("t2i_adapter", "a picture " + to_string(picture.shape()) + ", expected [N, H, W, " +
                                           std::to_string(config_.in_channels) + "] with sides that " +
                                           std::to_string(factor) + " divides");
  const Index height = picture.dim(1) / factor, width = picture.dim(2) / factor;
  auto x = ops::patchify(context, picture, factor, ops::PatchOrder::channels_rows_columns)
               .reshape({picture.dim(0), height, width, config_.in_channels * factor * factor});
  for (const auto& conv : conv_in_) x = conv(context, ops::cast<T>(context, x));
  std::vector<Tensor<float>> features;
  for (const auto& block : blocks_) {
    if (block.halves) x = detail::halved_upwards(context, x);
    for (const auto& in : block.in) x = in.accumulate(context, ops::cast<T>(context, x));
    for (const auto& layer : block.layers) {
      const auto inner =
          ops::activate(context, layer.first(context, ops::cast<T>(context, x)), ops::Activation::relu);
      x = layer.second(context, ops::cast<T>(context, inner), x);
    }
    for (const auto& out : block.out) x = out.accumulate(context, ops::cast<T>(context, x));
    features.push_back(x);
  }
  return features;
}

extern template class T2IAdapter<float>;
extern template class T2IAdapter<bfloat16>;

}  // namespace daguerre::models

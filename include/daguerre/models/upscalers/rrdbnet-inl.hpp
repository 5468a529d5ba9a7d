#pragma once

#include "daguerre/models/upscalers/rrdbnet.hpp"
#include "daguerre/nn/conv-inl.hpp"
#include "daguerre/ops/activation.hpp"
#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/modulation.hpp"
#include "daguerre/ops/rearrange-inl.hpp"
#include "daguerre/ops/resample-inl.hpp"

namespace daguerre::models {
namespace detail {

inline constexpr int rrdb_convs = 5;
inline constexpr float rrdb_residual = 0.2f;  // how much of what a block makes is added to its input

/// LeakyReLU's slope wherever ESRGAN has one.
inline Tensor<float> rrdb_activation(const ops::Context& context, Tensor<float> x) {
  return ops::leaky_relu(context, std::move(x), ops::full(context, {1}, 0.2f));
}

/// x + rrdb_residual * y.
inline Tensor<float> rrdb_sum(const ops::Context& context, const Tensor<float>& x, const Tensor<float>& y) {
  const Shape rows{x.dim(0), x.dim(1) * x.dim(2), x.dim(3)};
  const auto share = ops::full(context, {x.dim(0), x.dim(3)}, rrdb_residual);
  return ops::add_gated(context, x.reshape(rows), {share}, y.reshape(rows)).reshape(x.shape());
}

template <class T>
nn::Conv2d<T> rrdb_conv(const nn::Loader& loader, std::string_view name, Index in, Index out) {
  return nn::Conv2d<T>(loader.sub(name), in, out, 3, ops::ConvGeometry::same(1));
}

template <class T>
ResidualDenseBlock<T>::ResidualDenseBlock(const nn::Loader& loader, const RrdbNetConfig& config) {
  for (int i = 0; i < rrdb_convs; ++i)
    convs_.push_back(rrdb_conv<T>(loader, "conv" + std::to_string(i + 1), config.features + i * config.growth,
                                  i + 1 < rrdb_convs ? config.growth : config.features));
}

template <class T>
Tensor<float> ResidualDenseBlock<T>::operator()(const ops::Context& context, const Tensor<float>& x) const {
  auto seen = ops::cast<T>(context, x);
  for (int i = 0; i + 1 < rrdb_convs; ++i) {
    const auto made =
        ops::cast<T>(context, rrdb_activation(context, convs_[static_cast<std::size_t>(i)](context, seen)));
    const std::array<Tensor<T>, 2> parts{seen, made};
    seen = ops::concat<T>(context, parts, -1);
  }
  return rrdb_sum(context, x, convs_.back()(context, seen));
}

}  // namespace detail

template <class T>
RrdbNet<T>::RrdbNet(const RrdbNetConfig& config, const nn::Loader& loader)
    : config_(config),
      first_(detail::rrdb_conv<T>(loader, "conv_first",
                                  config.in_channels * config.pixel_unshuffle * config.pixel_unshuffle,
                                  config.features)),
      trunk_(detail::rrdb_conv<T>(loader, "conv_body", config.features, config.features)),
      fine_(detail::rrdb_conv<T>(loader, "conv_hr", config.features, config.features)),
      last_(detail::rrdb_conv<T>(loader, "conv_last", config.features, config.out_channels)) {
  for (int i = 0; i < config.blocks; ++i)
    for (int dense = 1; dense <= 3; ++dense)
      blocks_.emplace_back(loader.sub("body", i).sub("rdb" + std::to_string(dense)), config);
  for (int i = 1; i <= config.doublings; ++i)
    doublings_.push_back(
        detail::rrdb_conv<T>(loader, "conv_up" + std::to_string(i), config.features, config.features));
}

template <class T>
Tensor<float> RrdbNet<T>::operator()(const ops::Context& context, const Tensor<float>& pictures) const {
  const Index side = config_.pixel_unshuffle;
  if (pictures.rank() != 4 || pictures.dim(3) != config_.in_channels || pictures.empty() ||
      pictures.dim(1) % side != 0 || pictures.dim(2) % side != 0)
    throw ArgumentError("rrdbnet", "pictures " + to_string(pictures.shape()) + ", expected [N, H, W, " +
                                       std::to_string(config_.in_channels) + "] of multiples of " +
                                       std::to_string(side));
  auto x = pictures;
  if (side > 1)
    x = ops::patchify(context, x, side, ops::PatchOrder::channels_rows_columns)
            .reshape({x.dim(0), x.dim(1) / side, x.dim(2) / side, x.dim(3) * side * side});
  x = first_(context, ops::cast<T>(context, x));
  auto deep = x;
  for (std::size_t i = 0; i < blocks_.size(); i += 3) {
    context.check_stop();
    auto inner = deep;
    for (std::size_t dense = i; dense < i + 3; ++dense) inner = blocks_[dense](context, inner);
    deep = detail::rrdb_sum(context, deep, inner);
  }
  x = trunk_(context, ops::cast<T>(context, deep), std::move(x));
  deep = {};
  for (const auto& conv : doublings_) {
    context.check_stop();
    x = detail::rrdb_activation(context, conv.enlarged(context, x, 2 * x.dim(1), 2 * x.dim(2)));
  }
  x = detail::rrdb_activation(context, fine_(context, ops::cast<T>(context, x)));
  return last_(context, ops::cast<T>(context, x));
}

extern template class RrdbNet<float>;
extern template class RrdbNet<bfloat16>;

}  // namespace daguerre::models

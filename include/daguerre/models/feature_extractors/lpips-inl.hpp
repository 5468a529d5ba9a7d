#pragma once

#include <array>
#include <string>
#include <utility>

#include "daguerre/models/feature_extractors/lpips.hpp"
#include "daguerre/nn/conv-inl.hpp"
#include "daguerre/ops/activation.hpp"
#include "daguerre/ops/channel_distance.hpp"
#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/pool-inl.hpp"
#include "daguerre/ops/rearrange-inl.hpp"
#include "daguerre/ops/resample-inl.hpp"

namespace daguerre::models {
namespace detail {

inline constexpr const char* lpips_name = "lpips";
// ImageNet's means and deviations for pictures in [-1, 1], as the package rounds them.
inline constexpr std::array<float, 3> lpips_mean{-0.030f, -0.088f, -0.188f};
inline constexpr std::array<float, 3> lpips_deviation{0.458f, 0.448f, 0.450f};

template <class T>
LpipsStage<T>::LpipsStage(const nn::Loader& loader, const LpipsStep& step)
    : pool_(step.pool), is_compared_(step.is_compared) {
  const auto own = loader.sub("features", step.number);
  if (step.squeezed == 0) {
    convs_.emplace_back(own, step.in, step.out, step.kernel, ops::ConvGeometry::same(step.pad, step.stride));
    return;
  }
  const auto flat = ops::ConvGeometry::same(0);
  convs_.emplace_back(own.sub("squeeze"), step.in, step.squeezed, 1, flat);
  convs_.emplace_back(own.sub("expand1x1"), step.squeezed, step.out / 2, 1, flat);
  convs_.emplace_back(own.sub("expand3x3"), step.squeezed, step.out / 2, 3, ops::ConvGeometry::same(1));
}

template <class T>
Tensor<T> LpipsStage<T>::operator()(const ops::Context& context, const Tensor<T>& x) const {
  const auto run = [&](const nn::Conv2d<T>& conv, const Tensor<T>& from) {
    return ops::cast<T>(context, ops::activate(context, conv(context, from), ops::Activation::relu));
  };
  auto y = run(convs_.front(), pool_ ? ops::max_pool(context, x, *pool_) : x);
  if (convs_.size() == 1) return y;
  const std::array<Tensor<T>, 2> sides{run(convs_[1], y), run(convs_[2], y)};
  return ops::concat<T>(context, sides, -1);
}

}  // namespace detail

template <class T>
Lpips<T>::Lpips(LpipsTrunk trunk, const nn::Loader& loader) : trunk_(trunk) {
  const auto shape = detail::lpips_trunk_shape(trunk);
  smallest_side_ = shape.smallest_side;
  for (const auto& step : shape.steps) {
    stages_.emplace_back(loader, step);
    if (!step.is_compared) continue;
    const auto linear = loader.sub("lin" + std::to_string(weights_.size())).sub("model.1");
    weights_.push_back(linear.tensor("weight", {1, step.out, 1, 1}).reshape({step.out}));
  }
}

template <class T>
Tensor<T> Lpips<T>::prepared(const ops::Context& context, const Tensor<float>& pictures) const {
  if (pictures.rank() != 4 || pictures.dim(3) != 3 || pictures.empty() || pictures.dim(1) < smallest_side_ ||
      pictures.dim(2) < smallest_side_)
    throw ArgumentError(detail::lpips_name, "pictures " + to_string(pictures.shape()) +
                                                ", expected [N, H, W, 3] of " +
                                                std::to_string(smallest_side_) + " pixels a side at least");
  return ops::cast<T>(context,
                      ops::standardise(context, pictures, Tensor<float>::copy_of({3}, detail::lpips_mean),
                                       Tensor<float>::copy_of({3}, detail::lpips_deviation)));
}

template <class T>
std::vector<Tensor<float>> Lpips<T>::features(const ops::Context& context,
                                              const Tensor<float>& pictures) const {
  auto x = prepared(context, pictures);
  std::vector<Tensor<float>> result;
  for (const auto& stage : stages_) {
    context.check_stop();
    x = stage(context, x);
    if (stage.is_compared()) result.push_back(ops::cast<float>(context, x));
  }
  return result;
}

template <class T>
LpipsDistance Lpips<T>::operator()(const ops::Context& context, const Tensor<float>& a,
                                   const Tensor<float>& b, const LpipsOptions& options) const {
  if (!(a.shape() == b.shape()))
    throw ArgumentError(detail::lpips_name, "pictures " + to_string(a.shape()) + " and " +
                                                to_string(b.shape()) + ", expected two of one shape");
  auto from_a = prepared(context, a), from_b = prepared(context, b);
  const Index count = a.dim(0);
  LpipsDistance result;
  std::vector<Tensor<float>> layers;
  // Side by side, so that no more than two layers' features are there at a time.
  for (const auto& stage : stages_) {
    context.check_stop();
    from_a = stage(context, from_a);
    from_b = stage(context, from_b);
    if (!stage.is_compared()) continue;
    const auto& weights = weights_[layers.size()];
    const auto map =
        ops::direction_distance(context, ops::cast<float>(context, from_a), ops::cast<float>(context, from_b),
                                options.linear ? weights : ops::full(context, weights.shape(), 1.0f));
    layers.push_back(ops::global_average_pool(context, map).reshape({count, 1}));
    result.distance = layers.size() == 1 ? layers.back() : ops::add(context, result.distance, layers.back());
    if (!options.spatial) continue;
    auto large = ops::resize_bilinear(context, map, a.dim(1), a.dim(2));
    result.map = result.map.empty() ? std::move(large) : ops::add(context, result.map, large);
  }
  result.distance = result.distance.reshape({count});
  result.layers = ops::concat<float>(context, layers, -1);
  return result;
}

extern template class Lpips<float>;
extern template class Lpips<bfloat16>;

}  // namespace daguerre::models

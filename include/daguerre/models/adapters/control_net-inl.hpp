#pragma once

#include <cmath>
#include <string>
#include <utility>

#include "daguerre/models/adapters/control_net.hpp"
#include "daguerre/models/denoisers/unet_2d_condition-inl.hpp"
#include "daguerre/ops/resample-inl.hpp"

namespace daguerre::models {
namespace detail {

/// How much the i-th of `count` residuals counts in guess mode: torch.logspace(-1, 0, count).
inline float guess_weight(std::size_t i, std::size_t count) {
  if (count < 2) return 0.1f;
  return static_cast<float>(std::pow(10.0, -1.0 + static_cast<double>(i) / static_cast<double>(count - 1)));
}

}  // namespace detail

template <class T>
ControlNet<T>::ControlNet(const ControlNetConfig& config, const nn::Loader& loader)
    : config_(config),
      embedder_(config.unet, loader),
      way_down_(config.unet.shape, loader),
      picture_(loader.sub("controlnet_cond_embedding"), config.picture),
      mid_residual_(loader.sub("controlnet_mid_block"), config.unet.shape.levels.back().channels,
                    config.unet.shape.levels.back().channels, {.stored_as_conv = true}) {
  int index = 0;
  for (const Index channels : config.unet.shape.skip_channels())
    residuals_.emplace_back(loader.sub("controlnet_down_blocks", index++), channels, channels,
                            typename nn::Linear<T>::Options{.stored_as_conv = true});
}

template <class T>
Tensor<float> ControlNet<T>::residual(const ops::Context& context, const nn::Linear<T>& layer,
                                      const Tensor<float>& map, float scale) const {
  auto result = layer.accumulate(context, ops::cast<T>(context, map));
  if (config_.global_pool_conditions)
    result = ops::upsample_nearest<float>(context, ops::global_average_pool(context, result), map.dim(1),
                                          map.dim(2));
  return scale == 1.0f ? result : ops::affine(context, result, scale, 0.0f);
}

template <class T>
UNetFeatures ControlNet<T>::operator()(const ops::Context& context, const Tensor<float>& sample,
                                       std::span<const float> timesteps, const UNet2DConditionInputs& inputs,
                                       const Tensor<float>& hint, const Strength& strength) const {
  const auto told = embedder_.for_sample(context, timesteps, inputs, sample.shape());
  auto blocks = detail::told_to_blocks(told);
  if (inputs.windows) blocks.windows = &*inputs.windows;
  auto frames = detail::as_frames(sample);
  if (config_.sparse) frames = ops::full(context, frames.shape(), 0.0f);
  UNetPath path;
  auto x = way_down_.down(context, frames, blocks, nullptr, hint, path);
  x = way_down_.middle(context, std::move(x), blocks, nullptr);

  const bool graded = strength.guess_mode && !config_.global_pool_conditions;
  const auto weight = [&](std::size_t i) {
    return graded ? strength.scale * detail::guess_weight(i, residuals_.size() + 1) : strength.scale;
  };
  UNetFeatures result;
  for (std::size_t i = 0; i < residuals_.size(); ++i)
    result.down_residuals.push_back(
        residual(context, residuals_[i], std::exchange(path.skips[i], {}), weight(i)));
  result.mid_residual = residual(context, mid_residual_, x, weight(residuals_.size()));
  return result;
}

extern template class ControlNet<float>;
extern template class ControlNet<bfloat16>;

}  // namespace daguerre::models

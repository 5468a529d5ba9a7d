#pragma once

#include <string>

#include "daguerre/models/denoisers/unet_2d.hpp"
#include "daguerre/models/denoisers/unet_2d_body-inl.hpp"
#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/host_values.hpp"

namespace daguerre::models {

template <class T>
UNet2D<T>::UNet2D(const UNet2DConfig& config, const nn::Loader& loader)
    : config_(config),
      time_projection_(loader.sub("time_proj"), config.time),
      time_embedding_(loader.sub("time_embedding"), config.time.width, config.time_embedding_dim),
      class_embedding_(loader.sub("class_embedding"), config.classes),
      body_(config.shape, loader) {}

template <class T>
Tensor<float> UNet2D<T>::operator()(const ops::Context& context, const Tensor<float>& sample,
                                    std::span<const float> timesteps,
                                    std::span<const std::int32_t> class_labels) const {
  return (*this)(context, sample, timesteps, ops::host_floats(class_labels));
}

template <class T>
Tensor<float> UNet2D<T>::operator()(const ops::Context& context, const Tensor<float>& sample,
                                    std::span<const float> timesteps,
                                    const Tensor<float>& class_labels) const {
  const Index batch = sample.rank() == 0 ? 0 : sample.dim(0);
  if (class_embedding_.is_none() && !class_labels.empty())
    throw ArgumentError("unet", std::to_string(class_labels.dim(0)) + " class labels, expected 0");
  auto temb = embedded_time(context, time_projection_, time_embedding_, timesteps, batch);
  if (!class_embedding_.is_none())
    temb = ops::add(context, temb, class_embedding_(context, class_labels, batch, time_projection_));
  const auto result = body_(context, sample, UNetBlockInputs<T>{temb});
  if (config_.time.kind != TimeProjectionOptions::Kind::fourier) return result;
  // Times are noise levels there, and the output is a score.
  return ops::divide_each(context, result, timesteps);
}

extern template class UNet2D<float>;
extern template class UNet2D<bfloat16>;

}  // namespace daguerre::models

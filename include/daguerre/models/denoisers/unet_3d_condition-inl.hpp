#pragma once

#include "daguerre/models/denoisers/unet_3d_condition.hpp"
#include "daguerre/models/denoisers/unet_film_body-inl.hpp"
#include "daguerre/ops/elementwise-inl.hpp"

namespace daguerre::models {

template <class T>
UNet3DCondition<T>::UNet3DCondition(const UNet3DConditionConfig& config, const nn::Loader& loader)
    : config_(config),
      time_projection_(loader.sub("time_proj"), {.width = config.shape.levels.front().channels}),
      time_embedding_(loader.sub("time_embedding"), config.shape.levels.front().channels,
                      config.time_embedding_dim, config.time_perceptron),
      body_(config.shape, loader) {}

template <class T>
Tensor<float> UNet3DCondition<T>::operator()(const ops::Context& context, const Tensor<float>& sample,
                                             std::span<const float> timesteps,
                                             const Tensor<float>& encoder_hidden_states,
                                             const Tensor<float>& timestep_cond,
                                             const std::optional<FreeU>& free_u) const {
  const Index films = detail::checked_film_count(sample, config_.shape.in_channels);
  detail::check_film_states(encoder_hidden_states, films, config_.cross_attention_dim);
  if (!timestep_cond.empty() &&
      !(timestep_cond.shape() == Shape{films, config_.time_perceptron.condition_channels}))
    throw ArgumentError("unet", "timestep_cond " + to_string(timestep_cond.shape()) + ", which this model " +
                                    "does not take");
  const auto temb = embedded_time(context, time_projection_, time_embedding_, timesteps, films,
                                  timestep_cond.empty() ? nullptr : &timestep_cond);
  return body_(context, sample, temb, ops::cast<T>(context, encoder_hidden_states), free_u);
}

extern template class UNet3DCondition<float>;
extern template class UNet3DCondition<bfloat16>;

}  // namespace daguerre::models

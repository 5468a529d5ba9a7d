#pragma once

#include <string>

#include "daguerre/models/denoisers/unet_film_body-inl.hpp"
#include "daguerre/models/denoisers/unet_spatio_temporal.hpp"
#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/host_values.hpp"

namespace daguerre::models {

template <class T>
UNetSpatioTemporal<T>::UNetSpatioTemporal(const UNetSpatioTemporalConfig& config, const nn::Loader& loader)
    : config_(config),
      time_projection_(loader.sub("time_proj"), {.width = config.shape.levels.front().channels}),
      time_embedding_(loader.sub("time_embedding"), config.shape.levels.front().channels,
                      config.time_embedding_dim),
      add_embedding_(loader.sub("add_embedding"), config.added_width, config.time_embedding_dim),
      body_(config.shape, loader) {}

template <class T>
Tensor<float> UNetSpatioTemporal<T>::operator()(const ops::Context& context, const Tensor<float>& sample,
                                                std::span<const float> timesteps,
                                                const Tensor<float>& encoder_hidden_states,
                                                const Tensor<float>& time_ids) const {
  const Index films = detail::checked_film_count(sample, config_.shape.in_channels);
  detail::check_film_states(encoder_hidden_states, films, config_.cross_attention_dim);
  if (!(time_ids.shape() == Shape{films, config_.time_ids()}))
    throw ArgumentError("unet", "time_ids " + to_string(time_ids.shape()) + ", expected [" +
                                    std::to_string(films) + ", " + std::to_string(config_.time_ids()) + "]");
  const auto added =
      ops::timestep_embedding(context, ops::host_values(time_ids), config_.addition_time_embed_dim);
  const auto temb =
      ops::add(context, embedded_time(context, time_projection_, time_embedding_, timesteps, films),
               add_embedding_(context, added.reshape({films, config_.added_width})));
  return body_(context, sample, temb, ops::cast<T>(context, encoder_hidden_states));
}

extern template class UNetSpatioTemporal<float>;
extern template class UNetSpatioTemporal<bfloat16>;

}  // namespace daguerre::models

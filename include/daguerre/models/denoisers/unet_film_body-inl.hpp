#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "daguerre/models/denoisers/unet_2d_body-inl.hpp"
#include "daguerre/models/denoisers/unet_film_body.hpp"
#include "daguerre/ops/embedding.hpp"

namespace daguerre::models {
namespace detail {

/// Throws ArgumentError unless `states` are tokens `[batch, S, width]`.
inline void check_film_states(const Tensor<float>& states, Index batch, Index width) {
  if (states.rank() != 3 || states.dim(0) != batch || states.dim(2) != width || states.empty())
    throw ArgumentError("unet", "encoder_hidden_states " + to_string(states.shape()) + ", expected [" +
                                    std::to_string(batch) + ", S, " + std::to_string(width) + "]");
}

/// The number of films. Throws ArgumentError unless `sample` is `[N, F, H, W, channels]`.
inline Index checked_film_count(const Tensor<float>& sample, Index channels) {
  if (sample.rank() != 5 || sample.dim(4) != channels || sample.empty())
    throw ArgumentError("unet", "sample " + to_string(sample.shape()) + ", expected [N, F, H, W, " +
                                    std::to_string(channels) + "]");
  return sample.dim(0);
}

/// Each of the rows for every frame of its film.
inline Tensor<float> for_each_frame(const ops::Context& context, const Tensor<float>& rows, Index frames) {
  std::vector<std::int32_t> ids;
  for (Index film = 0; film < rows.dim(0); ++film)
    ids.insert(ids.end(), static_cast<std::size_t>(frames), static_cast<std::int32_t>(film));
  return ops::embedding_lookup(context, rows, ids);
}

}  // namespace detail

template <class T>
Tensor<float> UNetFilmBody<T>::operator()(const ops::Context& context, const Tensor<float>& sample,
                                          const Tensor<float>& temb, const Tensor<T>& states,
                                          const std::optional<FreeU>& free_u) const {
  const Index films = detail::checked_film_count(sample, in_channels_);
  const Index frames = sample.dim(1), height = sample.dim(2), width = sample.dim(3);
  const auto frame_temb = detail::for_each_frame(context, temb, frames);
  UNetBlockInputs<T> inputs{frame_temb, &states};
  inputs.frames = frames;
  inputs.film_temb = &temb;
  if (free_u) inputs.free_u = &*free_u;
  const auto y = body_(context, sample.reshape({films * frames, height, width, in_channels_}), inputs);
  return y.reshape({films, frames, height, width, y.dim(-1)});
}

extern template class UNetFilmBody<float>;
extern template class UNetFilmBody<bfloat16>;

}  // namespace daguerre::models

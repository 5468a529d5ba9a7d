#pragma once

#include <algorithm>
#include <utility>

#include "daguerre/models/autoencoders/autoencoder_kl_mochi.hpp"
#include "daguerre/models/autoencoders/detail/film_latents.hpp"
#include "daguerre/models/autoencoders/detail/film_tiles.hpp"
#include "daguerre/models/autoencoders/detail/mochi_coders-inl.hpp"

namespace daguerre::models {
namespace detail {

inline constexpr const char* mochi_autoencoder_name = "autoencoder_kl_mochi";

}  // namespace detail

template <class T>
AutoencoderKlMochi<T>::AutoencoderKlMochi(const AutoencoderKlMochiConfig& config, const nn::Loader& loader)
    : config_(config), encoder_(loader.sub("encoder"), config), decoder_(loader.sub("decoder"), config) {}

template <class T>
void AutoencoderKlMochi<T>::check_films(const Tensor<float>& films) const {
  detail::check_films(detail::mochi_autoencoder_name, films.shape(), config_.picture_channels(), 1,
                      config_.space_ratio());
}

template <class T>
LatentDistribution AutoencoderKlMochi<T>::encode(const ops::Context& context,
                                                 const Tensor<float>& films) const {
  check_films(films);
  return detail::film_distribution(context, encoder_(context, films));
}

template <class T>
void AutoencoderKlMochi<T>::decode(const ops::Context& context, const Tensor<float>& latents,
                                   const FilmSink& sink) const {
  detail::check_film_latents(detail::mochi_autoencoder_name, latents.shape(), config_.latent_channels);
  detail::check_one_film(detail::mochi_autoencoder_name, latents.shape());
  auto stream = decoder_.stream();
  Index surplus = config_.time_ratio() - 1;  // what the first latent frame gives too much stands before it
  for (Index frame = 0; frame < latents.dim(1); ++frame)
    decoder_(context, detail::film_frames(latents, frame, frame + 1), stream, [&](Tensor<float> frames) {
      const Index dropped = std::min(surplus, frames.dim(1));
      surplus -= dropped;
      if (dropped < frames.dim(1)) sink(detail::film_frames(frames, dropped, frames.dim(1)));
    });
}

template <class T>
Tensor<float> AutoencoderKlMochi<T>::decode(const ops::Context& context, const Tensor<float>& latents) const {
  detail::check_film_latents(detail::mochi_autoencoder_name, latents.shape(), config_.latent_channels);
  return detail::film_by_film(context, latents, [&](const Tensor<float>& film) {
    return detail::joined_frames(context, [&](const FilmSink& sink) { decode(context, film, sink); });
  });
}

template <class T>
LatentDistribution AutoencoderKlMochi<T>::encode_tiled(const ops::Context& context,
                                                       const Tensor<float>& films,
                                                       const FilmTiling& tiling) const {
  check_films(films);
  const auto grid = grid_of(tiling);
  if (grid.holds(films.shape())) return encode(context, films);
  const Index ratio = config_.space_ratio();
  return detail::film_distribution(
      context,
      in_film_tiles(context, films, grid, grid.divided_by(ratio), films.dim(2) / ratio, films.dim(3) / ratio,
                    [&](const Tensor<float>& tile) { return encoder_(context, tile); }));
}

template <class T>
Tensor<float> AutoencoderKlMochi<T>::decode_tiled(const ops::Context& context, const Tensor<float>& latents,
                                                  const FilmTiling& tiling) const {
  detail::check_film_latents(detail::mochi_autoencoder_name, latents.shape(), config_.latent_channels);
  const Index ratio = config_.space_ratio();
  const auto grid = grid_of(tiling), in = grid.divided_by(ratio);
  if (in.holds(latents.shape())) return decode(context, latents);
  return in_film_tiles(context, latents, in, grid, latents.dim(2) * ratio, latents.dim(3) * ratio,
                       [&](const Tensor<float>& tile) { return decode(context, tile); });
}

extern template class AutoencoderKlMochi<float>;
extern template class AutoencoderKlMochi<bfloat16>;

}  // namespace daguerre::models

#pragma once

#include <string>
#include <utility>
#include <vector>

#include "daguerre/models/autoencoders/autoencoder_kl_wan.hpp"
#include "daguerre/models/autoencoders/detail/film_latents.hpp"
#include "daguerre/models/autoencoders/detail/film_tiles.hpp"
#include "daguerre/models/autoencoders/detail/wan_coders-inl.hpp"

namespace daguerre::models {

template <class T>
AutoencoderKlWan<T>::AutoencoderKlWan(const AutoencoderKlWanConfig& config, const nn::Loader& loader)
    : config_(config),
      encoder_(loader.sub("encoder"), config),
      decoder_(loader.sub("decoder"), config),
      quant_conv_(detail::wan_pointwise<float>(loader.sub("quant_conv"), 2 * config.z_dim, 2 * config.z_dim)),
      post_quant_conv_(
          detail::wan_pointwise<float>(loader.sub("post_quant_conv"), config.z_dim, config.z_dim)) {}

template <class T>
Tensor<float> AutoencoderKlWan<T>::patches_of(const ops::Context& context, const Tensor<float>& films) const {
  return ops::space_time_to_depth(context, films, {.rows = config_.patch_size, .columns = config_.patch_size},
                                  ops::DepthOrder::channels_frames_columns_rows);
}

template <class T>
Tensor<float> AutoencoderKlWan<T>::pixels_of(const ops::Context& context, const Tensor<float>& patches,
                                             bool clamps) const {
  const auto pixels =
      ops::depth_to_space_time(context, patches, {.rows = config_.patch_size, .columns = config_.patch_size},
                               ops::DepthOrder::channels_frames_columns_rows);
  return clamps && config_.clip_output ? ops::clamp(context, pixels, -1.0f, 1.0f) : pixels;
}

template <class T>
Tensor<float> AutoencoderKlWan<T>::moments(const ops::Context& context, const Tensor<float>& patches) const {
  constexpr Index chunk = 4;  // whatever the ratio in time
  auto stream = encoder_.stream();
  std::vector<Tensor<float>> parts;
  for (Index begin = 0, end = 1; end <= patches.dim(1); begin = end, end += chunk) {
    const auto encoded = encoder_(context, detail::film_frames(patches, begin, end), stream);
    parts.push_back(quant_conv_(context, encoded));
  }
  return ops::concat<float>(context, parts, 1);
}

template <class T>
LatentDistribution AutoencoderKlWan<T>::encode(const ops::Context& context,
                                               const Tensor<float>& films) const {
  detail::check_films("autoencoder_kl_wan", films.shape(), config_.pixel_channels(), config_.patch_size,
                      config_.space_ratio());
  return detail::film_distribution(context, detail::film_by_film(context, films, [&](const auto& film) {
                                     return moments(context, patches_of(context, film));
                                   }));
}

template <class T>
void AutoencoderKlWan<T>::patches(const ops::Context& context, const Tensor<float>& latents,
                                  const FilmSink& take) const {
  auto stream = decoder_.stream();
  for (Index frame = 0; frame < latents.dim(1); ++frame) {
    const auto chunk = detail::film_frames(latents, frame, frame + 1);
    decoder_(context, post_quant_conv_(context, chunk), stream, take);
  }
}

template <class T>
void AutoencoderKlWan<T>::decode(const ops::Context& context, const Tensor<float>& latents,
                                 const FilmSink& sink) const {
  detail::check_film_latents("autoencoder_kl_wan", latents.shape(), config_.z_dim);
  detail::check_one_film("autoencoder_kl_wan", latents.shape());
  patches(context, latents, [&](const Tensor<float>& frames) { sink(pixels_of(context, frames, true)); });
}

template <class T>
Tensor<float> AutoencoderKlWan<T>::decode(const ops::Context& context, const Tensor<float>& latents) const {
  detail::check_film_latents("autoencoder_kl_wan", latents.shape(), config_.z_dim);
  return detail::film_by_film(context, latents, [&](const auto& film) {
    return detail::joined_frames(context, [&](const FilmSink& sink) { decode(context, film, sink); });
  });
}

template <class T>
LatentDistribution AutoencoderKlWan<T>::encode_tiled(const ops::Context& context, const Tensor<float>& films,
                                                     const FilmTiling& tiling) const {
  detail::check_films("autoencoder_kl_wan", films.shape(), config_.pixel_channels(), config_.patch_size,
                      config_.space_ratio());
  const auto grid = grid_of(tiling);
  if (grid.holds(films.shape())) return encode(context, films);
  // On this side the reference's tiles are so many patches, not pixels, high and wide.
  const Index ratio = config_.network_space_ratio();
  return detail::film_distribution(context, detail::film_by_film(context, films, [&](const auto& film) {
                                     const auto patches = patches_of(context, film);
                                     return in_film_tiles(
                                         context, patches, grid, grid.divided_by(ratio),
                                         patches.dim(2) / ratio, patches.dim(3) / ratio,
                                         [&](const auto& tile) { return moments(context, tile); });
                                   }));
}

template <class T>
Tensor<float> AutoencoderKlWan<T>::decode_tiled(const ops::Context& context, const Tensor<float>& latents,
                                                const FilmTiling& tiling) const {
  detail::check_film_latents("autoencoder_kl_wan", latents.shape(), config_.z_dim);
  const auto grid = grid_of(tiling);
  const auto in = grid.divided_by(config_.space_ratio());
  if (in.holds(latents.shape())) return decode(context, latents);
  // Neighbours are blended before patches become pixels.
  const Index ratio = config_.network_space_ratio();
  return detail::film_by_film(context, latents, [&](const auto& film) {
    const auto joined = in_film_tiles(
        context, film, in, grid.divided_by(config_.patch_size), film.dim(2) * ratio, film.dim(3) * ratio,
        [&](const Tensor<float>& tile) {
          return detail::joined_frames(context, [&](const FilmSink& sink) { patches(context, tile, sink); });
        });
    return pixels_of(context, joined, tiling.clamps);
  });
}

extern template class AutoencoderKlWan<float>;
extern template class AutoencoderKlWan<bfloat16>;

}  // namespace daguerre::models

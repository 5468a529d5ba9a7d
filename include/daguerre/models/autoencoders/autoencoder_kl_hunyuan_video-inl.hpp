#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "daguerre/models/autoencoders/autoencoder_kl_hunyuan_video.hpp"
#include "daguerre/models/autoencoders/detail/film_latents.hpp"
#include "daguerre/models/autoencoders/detail/film_tiles.hpp"
#include "daguerre/models/autoencoders/detail/hunyuan_coders-inl.hpp"

namespace daguerre::models {
namespace detail {

inline constexpr const char* hunyuan_autoencoder_name = "autoencoder_kl_hunyuan_video";

inline nn::Conv3d<float> hunyuan_pointwise(const nn::Loader& loader, Index channels) {
  return {loader, channels, channels, nn::FilmGeometry::causal(1, 1, 0)};
}

}  // namespace detail

template <class T>
AutoencoderKlHunyuanVideo<T>::AutoencoderKlHunyuanVideo(const AutoencoderKlHunyuanVideoConfig& config,
                                                        const nn::Loader& loader)
    : config_(config),
      encoder_(loader.sub("encoder"), config),
      decoder_(loader.sub("decoder"), config),
      quant_conv_(detail::hunyuan_pointwise(loader.sub("quant_conv"), 2 * config.latent_channels)),
      post_quant_conv_(detail::hunyuan_pointwise(loader.sub("post_quant_conv"), config.latent_channels)) {}

template <class T>
Tensor<float> AutoencoderKlHunyuanVideo<T>::encoded(const ops::Context& context, const Tensor<float>& film,
                                                    const FilmTiling& tiling, bool tiled) const {
  const auto moments = [&](const Tensor<float>& x) { return quant_conv_(context, encoder_(context, x)); };
  const auto grid = grid_of(tiling);
  if (!tiled || grid.holds(film.shape())) return moments(film);
  const Index ratio = config_.spatial_compression_ratio;
  return in_film_tiles(context, film, grid, grid.divided_by(ratio), film.dim(2) / ratio, film.dim(3) / ratio,
                       moments);
}

template <class T>
Tensor<float> AutoencoderKlHunyuanVideo<T>::decoded(const ops::Context& context, const Tensor<float>& latents,
                                                    const FilmTiling& tiling, bool tiled) const {
  const auto film = [&](const Tensor<float>& x) { return decoder_(context, post_quant_conv_(context, x)); };
  const Index ratio = config_.spatial_compression_ratio;
  const auto grid = grid_of(tiling), in = grid.divided_by(ratio);
  if (!tiled || in.holds(latents.shape())) return film(latents);
  return in_film_tiles(context, latents, in, grid, latents.dim(2) * ratio, latents.dim(3) * ratio, film);
}

template <class T>
LatentDistribution AutoencoderKlHunyuanVideo<T>::distribution(const ops::Context& context,
                                                              const Tensor<float>& films,
                                                              const FilmTiling& tiling, bool tiled) const {
  const Index ratio = config_.temporal_compression_ratio;
  detail::check_films(detail::hunyuan_autoencoder_name, films.shape(), config_.in_channels, 1,
                      config_.spatial_compression_ratio);
  const auto moments = detail::film_by_film(context, films, [&](const Tensor<float>& film) {
    if (film.dim(1) <= tiling.frames) return encoded(context, film, tiling, tiled);
    return detail::joined_frames(context, [&](const FilmSink& sink) {
      in_frame_groups(
          context, film, {tiling.frames, tiling.stride_frames},
          {tiling.frames / ratio, tiling.stride_frames / ratio}, (film.dim(1) - 1) / ratio + 1,
          SharedFrame::first, [&](const auto& group) { return encoded(context, group, tiling, tiled); },
          sink);
    });
  });
  return detail::film_distribution(context, moments);
}

template <class T>
void AutoencoderKlHunyuanVideo<T>::frames(const ops::Context& context, const Tensor<float>& latents,
                                          const FilmSink& sink, const FilmTiling& tiling, bool tiled) const {
  const Index ratio = config_.temporal_compression_ratio;
  detail::check_film_latents(detail::hunyuan_autoencoder_name, latents.shape(), config_.latent_channels);
  detail::check_one_film(detail::hunyuan_autoencoder_name, latents.shape());
  if (latents.dim(1) <= tiling.frames / ratio) {
    sink(decoded(context, latents, tiling, tiled));
    return;
  }
  in_frame_groups(
      context, latents, {tiling.frames / ratio, tiling.stride_frames / ratio},
      {tiling.frames, tiling.stride_frames}, (latents.dim(1) - 1) * ratio + 1, SharedFrame::first,
      [&](const auto& group) { return decoded(context, group, tiling, tiled); }, sink);
}

template <class T>
LatentDistribution AutoencoderKlHunyuanVideo<T>::encode(const ops::Context& context,
                                                        const Tensor<float>& films,
                                                        const FilmTiling& groups) const {
  return distribution(context, films, groups, false);
}

template <class T>
LatentDistribution AutoencoderKlHunyuanVideo<T>::encode_tiled(const ops::Context& context,
                                                              const Tensor<float>& films,
                                                              const FilmTiling& tiling) const {
  return distribution(context, films, tiling, true);
}

template <class T>
void AutoencoderKlHunyuanVideo<T>::decode(const ops::Context& context, const Tensor<float>& latents,
                                          const FilmSink& sink, const FilmTiling& groups) const {
  frames(context, latents, sink, groups, false);
}

template <class T>
void AutoencoderKlHunyuanVideo<T>::decode_tiled(const ops::Context& context, const Tensor<float>& latents,
                                                const FilmSink& sink, const FilmTiling& tiling) const {
  frames(context, latents, sink, tiling, true);
}

template <class T>
Tensor<float> AutoencoderKlHunyuanVideo<T>::decode(const ops::Context& context, const Tensor<float>& latents,
                                                   const FilmTiling& groups) const {
  detail::check_film_latents(detail::hunyuan_autoencoder_name, latents.shape(), config_.latent_channels);
  return detail::film_by_film(context, latents, [&](const Tensor<float>& film) {
    return detail::joined_frames(context,
                                 [&](const FilmSink& sink) { frames(context, film, sink, groups, false); });
  });
}

template <class T>
Tensor<float> AutoencoderKlHunyuanVideo<T>::decode_tiled(const ops::Context& context,
                                                         const Tensor<float>& latents,
                                                         const FilmTiling& tiling) const {
  detail::check_film_latents(detail::hunyuan_autoencoder_name, latents.shape(), config_.latent_channels);
  return detail::film_by_film(context, latents, [&](const Tensor<float>& film) {
    return detail::joined_frames(context,
                                 [&](const FilmSink& sink) { frames(context, film, sink, tiling, true); });
  });
}

extern template class AutoencoderKlHunyuanVideo<float>;
extern template class AutoencoderKlHunyuanVideo<bfloat16>;

}  // namespace daguerre::models

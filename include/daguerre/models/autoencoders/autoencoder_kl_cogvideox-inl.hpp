#pragma once

#include <algorithm>
#include <deque>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daguerre/models/autoencoders/autoencoder_kl_cogvideox.hpp"
#include "daguerre/models/autoencoders/detail/cogvideox_coders-inl.hpp"
#include "daguerre/models/autoencoders/detail/film_latents.hpp"
#include "daguerre/models/autoencoders/detail/film_tiles.hpp"

namespace daguerre::models {
namespace detail {

inline constexpr const char* cogvideox_vae = "autoencoder";
inline constexpr Index cogvideox_frames_at_a_time = 8, cogvideox_latents_at_a_time = 2;

/// Tiles of what goes into a coder and of what comes out. Their steps are cut to whole numbers one by one, so
/// that they need not be multiples of each other.
struct CogVideoXGrids {
  TileGrid in, out;
};

inline void check_cogvideox_tiling(const CogVideoXTiling& tiling, Index downscale) {
  const auto is_part = [](double overlap) { return overlap >= 0.0 && overlap < 1.0; };
  if (tiling.sample_min_height >= downscale && tiling.sample_min_width >= downscale &&
      is_part(tiling.overlap_height) && is_part(tiling.overlap_width))
    return;
  throw ArgumentError(cogvideox_vae, "tiles of " + std::to_string(tiling.sample_min_height) + " x " +
                                         std::to_string(tiling.sample_min_width) + " with overlaps of " +
                                         std::to_string(tiling.overlap_height) + " and " +
                                         std::to_string(tiling.overlap_width) + " are not possible");
}

/// Those of a tiling; none where there is none. Throws ArgumentError.
inline std::optional<CogVideoXGrids> cogvideox_grids(const CogVideoXTiling* tiling, Index downscale,
                                                     bool decodes) {
  if (tiling == nullptr) return std::nullopt;
  check_cogvideox_tiling(*tiling, downscale);
  const auto part = [](Index size, double factor) {
    return static_cast<Index>(static_cast<double>(size) * factor);
  };
  const double down = tiling->overlap_height, across = tiling->overlap_width;
  const Index high = tiling->sample_min_height, wide = tiling->sample_min_width;
  const Index in_height = decodes ? high / downscale : high, in_width = decodes ? wide / downscale : wide;
  const Index out_height = decodes ? high : high / downscale, out_width = decodes ? wide : wide / downscale;
  return CogVideoXGrids{
      {in_height, in_width, part(in_height, 1.0 - down), part(in_width, 1.0 - across)},
      {out_height, out_width, out_height - part(out_height, down), out_width - part(out_width, across)}};
}

/// Calls `take` with chunks of the film `[1, F, H, W, C]`, `most` frames each, the first with what remains,
/// and whether it is the last.
template <class Take>
void for_cogvideox_chunks(const ops::Context& context, const Tensor<float>& film, Index most,
                          const Take& take) {
  const Index count = film.dim(1), first = count < most ? count : most + count % most;
  for (Index begin = 0, end = first; begin < count; begin = end, end += most) {
    context.check_stop();
    take(film_frames(film, begin, end), end == count);
  }
}

/// What `code` makes of a chunk, in tiles where there are grids; each tile has a stream of its own.
template <class T, class Coder>
Tensor<float> cogvideox_chunk(const ops::Context& context, const Coder& code, const Tensor<float>& chunk,
                              bool is_last, std::deque<nn::FrameStream<T>>& streams,
                              const std::optional<CogVideoXGrids>& grids) {
  std::size_t next = 0;
  const auto apply = [&](const Tensor<float>& tile) {
    if (next == streams.size()) streams.emplace_back();
    return code(context, tile, streams[next++], is_last);
  };
  if (!grids || grids->in.holds(chunk.shape())) return apply(chunk);
  constexpr Index all = std::numeric_limits<Index>::max();
  return in_film_tiles(context, chunk, grids->in, grids->out, all, all, apply);
}

}  // namespace detail

template <class T>
AutoencoderKlCogVideoX<T>::AutoencoderKlCogVideoX(const CogVideoXAutoencoderConfig& config,
                                                  const nn::Loader& loader)
    : config_(config), encoder_(loader.sub("encoder"), config), decoder_(loader.sub("decoder"), config) {}

template <class T>
LatentDistribution AutoencoderKlCogVideoX<T>::encode(const ops::Context& context, const Tensor<float>& films,
                                                     const CogVideoXTiling* tiling) const {
  detail::check_films(detail::cogvideox_vae, films.shape(), config_.in_channels, 1, config_.downscale());
  const auto grids = detail::cogvideox_grids(tiling, config_.downscale(), false);
  const auto encoded = [&](const Tensor<float>& film) {
    return detail::joined_frames(context, [&](const FilmSink& sink) {
      std::deque<nn::FrameStream<T>> streams;
      detail::for_cogvideox_chunks(
          context, film, detail::cogvideox_frames_at_a_time, [&](const Tensor<float>& chunk, bool is_last) {
            sink(detail::cogvideox_chunk(context, encoder_, chunk, is_last, streams, grids));
          });
    });
  };
  return detail::film_distribution(context, detail::film_by_film(context, films, encoded));
}

template <class T>
void AutoencoderKlCogVideoX<T>::decode(const ops::Context& context, const Tensor<float>& latents,
                                       const FilmSink& sink, const CogVideoXTiling* tiling) const {
  detail::check_film_latents(detail::cogvideox_vae, latents.shape(), config_.latent_channels);
  detail::check_one_film(detail::cogvideox_vae, latents.shape());
  const auto grids = detail::cogvideox_grids(tiling, config_.downscale(), true);
  std::deque<nn::FrameStream<T>> streams;
  detail::for_cogvideox_chunks(
      context, latents, detail::cogvideox_latents_at_a_time, [&](const Tensor<float>& chunk, bool is_last) {
        sink(detail::cogvideox_chunk(context, decoder_, chunk, is_last, streams, grids));
      });
}

template <class T>
Tensor<float> AutoencoderKlCogVideoX<T>::decode(const ops::Context& context, const Tensor<float>& latents,
                                                const CogVideoXTiling* tiling) const {
  detail::check_film_latents(detail::cogvideox_vae, latents.shape(), config_.latent_channels);
  return detail::film_by_film(context, latents, [&](const Tensor<float>& film) {
    return detail::joined_frames(context, [&](const FilmSink& sink) { decode(context, film, sink, tiling); });
  });
}

template <class T>
CogVideoXTiling AutoencoderKlCogVideoX<T>::default_tiling() const {
  return {config_.sample_height / 2, config_.sample_width / 2};
}

extern template class AutoencoderKlCogVideoX<float>;
extern template class AutoencoderKlCogVideoX<bfloat16>;

}  // namespace daguerre::models

#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "daguerre/models/autoencoders/autoencoder_kl_ltx.hpp"
#include "daguerre/models/autoencoders/detail/film_latents.hpp"
#include "daguerre/models/autoencoders/detail/film_tiles.hpp"
#include "daguerre/models/autoencoders/detail/ltx_coders-inl.hpp"

namespace daguerre::models {
namespace detail {

inline constexpr const char* ltx_vae_name = "autoencoder_kl_ltx";
inline constexpr auto ltx_patch_order = ops::DepthOrder::channels_frames_columns_rows;
inline constexpr FilmTiling ltx_no_tiling{0, 0, 0, 0, 0, 0, false};

}  // namespace detail

template <class T>
AutoencoderKlLtx<T>::AutoencoderKlLtx(const AutoencoderKlLtxConfig& config, const nn::Loader& loader)
    : config_(config),
      encoder_(config.encoder, loader.sub("encoder")),
      decoder_(config.decoder, loader.sub("decoder")),
      latents_mean_(loader.tensor("latents_mean", {config.latent_channels})),
      latents_std_(loader.tensor("latents_std", {config.latent_channels})) {}

template <class T>
Tensor<float> AutoencoderKlLtx<T>::moments(const ops::Context& context, const Tensor<float>& films,
                                           const FilmTiling& tiling) const {
  const ops::SpaceTimeBlock patch{config_.patch_size_t, config_.patch_size, config_.patch_size};
  const auto encoded = [&](const Tensor<float>& part) {
    return encoder_(context, ops::space_time_to_depth(context, part, patch, detail::ltx_patch_order));
  };
  const auto grid = grid_of(tiling);
  if (tiling.height == 0 || grid.holds(films.shape())) return encoded(films);
  const Index ratio = config_.space_ratio();
  return in_film_tiles(context, films, grid, grid.divided_by(ratio), films.dim(2) / ratio,
                       films.dim(3) / ratio, encoded);
}

template <class T>
Tensor<float> AutoencoderKlLtx<T>::pixels(const ops::Context& context, const Tensor<float>& latents,
                                          const FilmTiling& tiling, const LTXDecoding& decoding) const {
  const ops::SpaceTimeBlock patch{config_.patch_size_t, config_.patch_size, config_.patch_size};
  std::vector<float> timesteps;
  if (decoding.timestep) timesteps.assign(static_cast<std::size_t>(latents.dim(0)), *decoding.timestep);
  const auto decoded = [&](const Tensor<float>& part) {
    return ops::depth_to_space_time(context, decoder_(context, part, timesteps, decoding.noise), patch,
                                    detail::ltx_patch_order);
  };
  const Index ratio = config_.space_ratio();
  const auto grid = grid_of(tiling);
  if (tiling.height == 0 || grid.divided_by(ratio).holds(latents.shape())) return decoded(latents);
  return in_film_tiles(context, latents, grid.divided_by(ratio), grid, latents.dim(2) * ratio,
                       latents.dim(3) * ratio, decoded);
}

template <class T>
LatentDistribution AutoencoderKlLtx<T>::distribution(const ops::Context& context,
                                                     const Tensor<float>& moments) const {
  const Index channels = config_.latent_channels;
  const std::vector<Tensor<float>> logvar(static_cast<std::size_t>(channels),
                                          ops::narrow(context, moments, -1, channels, 1));
  return {ops::narrow(context, moments, -1, 0, channels),
          ops::clamp(context, ops::concat<float>(context, logvar, -1), -30.0f, 20.0f)};
}

template <class T>
LatentDistribution AutoencoderKlLtx<T>::encode(const ops::Context& context,
                                               const Tensor<float>& films) const {
  return encode_tiled(context, films, detail::ltx_no_tiling);
}

template <class T>
Tensor<float> AutoencoderKlLtx<T>::decode(const ops::Context& context, const Tensor<float>& latents,
                                          const LTXDecoding& decoding) const {
  return decode_tiled(context, latents, detail::ltx_no_tiling, decoding);
}

template <class T>
void AutoencoderKlLtx<T>::decode(const ops::Context& context, const Tensor<float>& latents,
                                 const LTXDecoding& decoding, const FilmSink& sink, Index at_once) const {
  detail::check_film_latents(detail::ltx_vae_name, latents.shape(), config_.latent_channels);
  detail::check_one_film(detail::ltx_vae_name, latents.shape());
  const ops::SpaceTimeBlock patch{config_.patch_size_t, config_.patch_size, config_.patch_size};
  std::vector<float> timesteps;
  if (decoding.timestep) timesteps.push_back(*decoding.timestep);
  if (at_once == 0) {
    constexpr Index most = Index{1} << 25;  // 128 MB of float32 in the outermost level
    const Index side = config_.space_ratio() / config_.patch_size;
    const Index frame = config_.time_ratio() * latents.dim(2) * latents.dim(3) * side * side *
                        config_.decoder.blocks.back().channels;
    at_once = std::max<Index>(1, most / std::max<Index>(frame, 1));
  }
  const Index frames = latents.dim(1);
  LTXStream<T> stream;
  for (Index begin = 0; begin < frames; begin += at_once) {
    const Index count = std::min(at_once, frames - begin);
    const bool is_all = count == frames, is_last = begin + count == frames;
    stream.begin_chunk(is_last);
    const auto patches = decoder_(context, is_all ? latents : ops::narrow(context, latents, 1, begin, count),
                                  timesteps, decoding.noise, is_all ? nullptr : &stream);
    if (!patches.empty()) sink(ops::depth_to_space_time(context, patches, patch, detail::ltx_patch_order));
  }
}

template <class T>
void AutoencoderKlLtx<T>::check(const FilmTiling& tiling) const {
  const Index space = config_.space_ratio(), time = config_.time_ratio();
  const auto fits = [](Index size, Index stride, Index ratio) {
    return stride / ratio >= 1 && stride <= size && size % ratio == 0 && stride % ratio == 0;
  };
  const bool tiles = tiling.height == 0 || (fits(tiling.height, tiling.stride_height, space) &&
                                            fits(tiling.width, tiling.stride_width, space));
  if (!tiles || (tiling.frames != 0 && !fits(tiling.frames, tiling.stride_frames, time)))
    throw ArgumentError(detail::ltx_vae_name, "tiles and their distances must be multiples of " +
                                                  std::to_string(space) + " pixels, groups of frames of " +
                                                  std::to_string(time));
}

template <class T>
LatentDistribution AutoencoderKlLtx<T>::encode_tiled(const ops::Context& context, const Tensor<float>& films,
                                                     const FilmTiling& tiling) const {
  detail::check_films(detail::ltx_vae_name, films.shape(), config_.in_channels, config_.space_ratio(),
                      config_.space_ratio());
  check(tiling);
  const Index frames = films.dim(1), ratio = config_.time_ratio();
  if (tiling.frames == 0 || frames <= tiling.frames)
    return distribution(context, moments(context, films, tiling));
  const auto all = detail::joined_frames(context, [&](const FilmSink& sink) {
    in_frame_groups(
        context, films, {tiling.frames, tiling.stride_frames},
        {tiling.frames / ratio, tiling.stride_frames / ratio}, (frames - 1) / ratio + 1, SharedFrame::first,
        [&](const auto& group) { return moments(context, group, tiling); }, sink);
  });
  return distribution(context, all);
}

template <class T>
Tensor<float> AutoencoderKlLtx<T>::decode_tiled(const ops::Context& context, const Tensor<float>& latents,
                                                const FilmTiling& tiling, const LTXDecoding& decoding) const {
  detail::check_film_latents(detail::ltx_vae_name, latents.shape(), config_.latent_channels);
  return detail::film_by_film(context, latents, [&](const Tensor<float>& film) {
    return detail::joined_frames(
        context, [&](const FilmSink& sink) { decode_tiled(context, film, tiling, decoding, sink); });
  });
}

template <class T>
void AutoencoderKlLtx<T>::decode_tiled(const ops::Context& context, const Tensor<float>& latents,
                                       const FilmTiling& tiling, const LTXDecoding& decoding,
                                       const FilmSink& sink) const {
  detail::check_film_latents(detail::ltx_vae_name, latents.shape(), config_.latent_channels);
  detail::check_one_film(detail::ltx_vae_name, latents.shape());
  check(tiling);
  const Index frames = latents.dim(1), ratio = config_.time_ratio();
  const Index size = tiling.frames / ratio, stride = tiling.stride_frames / ratio;
  if (tiling.frames == 0 || frames <= size) {
    sink(pixels(context, latents, tiling, decoding));
    return;
  }
  in_frame_groups(
      context, latents, {size, stride}, {tiling.frames, tiling.stride_frames}, (frames - 1) * ratio + 1,
      SharedFrame::last, [&](const auto& group) { return pixels(context, group, tiling, decoding); }, sink);
}

extern template class AutoencoderKlLtx<float>;
extern template class AutoencoderKlLtx<bfloat16>;

}  // namespace daguerre::models

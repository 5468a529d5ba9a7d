#pragma once

#include <vector>

#include "daguerre/models/autoencoders/autoencoder_kl.hpp"
#include "daguerre/models/autoencoders/detail/mochi_coders.hpp"
#include "daguerre/models/autoencoders/film_tiling.hpp"

namespace daguerre::models {

/// diffusers' AutoencoderKLMochi.
struct AutoencoderKlMochiConfig : MochiShape {
  /// By channel: denoisers see (z - mean) / std * scaling_factor.
  std::vector<float> latents_mean, latents_std;
  float scaling_factor = 1.0f;

  /// Throws ConfigError for another class, for options it does not know and for values it does not support.
  static AutoencoderKlMochiConfig from(const Config& config);
};

/// Mochi's causal autoencoder of films (Genmo 2024; diffusers' AutoencoderKLMochi): the first frame becomes
/// one latent frame, every `time_ratio()` that follow another. Decoding goes through a film chunk by chunk,
/// so that memory does not grow with the number of frames; the encoder attends to all frames before, and does
/// not. Latents here are not normalised.
template <class T>
class AutoencoderKlMochi {
 public:
  AutoencoderKlMochi(const AutoencoderKlMochiConfig& config, const nn::Loader& loader);

  /// The distribution of latents `[N, F', h, w, latent_channels]` of films `[N, F, H, W, 3]` in [-1, 1].
  /// Throws ArgumentError for another shape and sides shorter than the ratio.
  LatentDistribution encode(const ops::Context& context, const Tensor<float>& films) const;
  /// Films `[N, (F' - 1) time_ratio + 1, H, W, out_channels]`, about [-1, 1], from latents `[N, F', h, w,
  /// latent_channels]`.
  Tensor<float> decode(const ops::Context& context, const Tensor<float>& latents) const;
  /// The same of one film, its frames handed to `sink` as they come.
  void decode(const ops::Context& context, const Tensor<float>& latents, const FilmSink& sink) const;

  /// As encode and decode, tile by tile, where a side is longer than a tile.
  LatentDistribution encode_tiled(const ops::Context& context, const Tensor<float>& films,
                                  const FilmTiling& tiling) const;
  Tensor<float> decode_tiled(const ops::Context& context, const Tensor<float>& latents,
                             const FilmTiling& tiling) const;

  const AutoencoderKlMochiConfig& config() const noexcept { return config_; }

 private:
  void check_films(const Tensor<float>& films) const;

  AutoencoderKlMochiConfig config_;
  MochiEncoder<T> encoder_;
  MochiDecoder<T> decoder_;
};

}  // namespace daguerre::models

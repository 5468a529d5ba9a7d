#pragma once

#include <optional>

#include "daguerre/config/config.hpp"
#include "daguerre/models/autoencoders/autoencoder_kl.hpp"
#include "daguerre/models/autoencoders/detail/ltx_coders.hpp"
#include "daguerre/models/autoencoders/film_tiling.hpp"

namespace daguerre::models {

/// diffusers' AutoencoderKLLTXVideo, of LTX-Video 0.9.0 to 0.9.8; defaults are its own.
struct AutoencoderKlLtxConfig {
  Index in_channels = 3;  ///< of films, in and out
  Index latent_channels = 128;
  Index patch_size = 4;    ///< rows and columns whose colours are channels of one position
  Index patch_size_t = 1;  ///< the same of frames
  float scaling_factor = 1.0f;
  LTXCoderShape encoder, decoder;

  /// Rows, columns and frames of a film for one of latents.
  Index space_ratio() const;
  Index time_ratio() const;

  /// Throws ConfigError for another class, for options it does not know and for values it does not support.
  static AutoencoderKlLtxConfig from(const Config& config);
};

/// What a decoder is told beside the latents.
struct LTXDecoding {
  std::optional<float> timestep;  ///< how much noise latents hold, in [0, 1]; where it is conditioned on it
  NoisePlanes noise;              ///< where it adds some
};

/// The autoencoder of LTX-Video (HaCohen et al. 2024, sec. 2.1): every 32 x 32 pixels of the first frame, and
/// of each eight that follow, become one position. The encoder sees frames before each one only; the decoder
/// those behind it, too, and may be told how much noise is left to be taken out. Latents here are not
/// normalised.
template <class T>
class AutoencoderKlLtx {
 public:
  AutoencoderKlLtx(const AutoencoderKlLtxConfig& config, const nn::Loader& loader);

  /// The distribution of latents `[N, F', h, w, latent_channels]` of films `[N, F, H, W, in_channels]` in
  /// [-1, 1]. Throws ArgumentError for another shape, and for sides and frames that the network cannot halve.
  LatentDistribution encode(const ops::Context& context, const Tensor<float>& films) const;
  /// Films, about [-1, 1], from latents. Throws ArgumentError for another shape, and where what the decoder
  /// is to be told is missing.
  Tensor<float> decode(const ops::Context& context, const Tensor<float>& latents,
                       const LTXDecoding& decoding = {}) const;

  /// The same of one film, so many latent frames at a time, whose frames `sink` is handed as they come: what
  /// is decoded does not depend on that number, 0 leaves it to what memory is worth. Before the first frame a
  /// decoder must have seen those that it looks ahead.
  void decode(const ops::Context& context, const Tensor<float>& latents, const LTXDecoding& decoding,
              const FilmSink& sink, Index at_once = 0) const;

  /// As encode and decode, tile by tile, where a side is longer than a tile, and group of frames by group of
  /// frames, where there are more than in one. `tiling` with a height or with frames of 0: not that.
  LatentDistribution encode_tiled(const ops::Context& context, const Tensor<float>& films,
                                  const FilmTiling& tiling) const;
  Tensor<float> decode_tiled(const ops::Context& context, const Tensor<float>& latents,
                             const FilmTiling& tiling, const LTXDecoding& decoding = {}) const;
  /// The same, the frames of one film handed to `sink` as they come.
  void decode_tiled(const ops::Context& context, const Tensor<float>& latents, const FilmTiling& tiling,
                    const LTXDecoding& decoding, const FilmSink& sink) const;
  /// The tiling that the reference uses.
  static FilmTiling default_tiling() { return {512, 512, 448, 448, 16, 8, false}; }

  /// By channel: denoisers see (z - mean) * scaling_factor / std.
  const Tensor<float>& latents_mean() const noexcept { return latents_mean_; }
  const Tensor<float>& latents_std() const noexcept { return latents_std_; }
  const AutoencoderKlLtxConfig& config() const noexcept { return config_; }

 private:
  /// Mean and one log variance for all channels, `[N, F', h, w, latent_channels + 1]`; in tiles where there
  /// are any.
  Tensor<float> moments(const ops::Context& context, const Tensor<float>& films,
                        const FilmTiling& tiling) const;
  Tensor<float> pixels(const ops::Context& context, const Tensor<float>& latents, const FilmTiling& tiling,
                       const LTXDecoding& decoding) const;
  LatentDistribution distribution(const ops::Context& context, const Tensor<float>& moments) const;
  void check(const FilmTiling& tiling) const;

  AutoencoderKlLtxConfig config_;
  LTXEncoder<T> encoder_;
  LTXDecoder<T> decoder_;
  Tensor<float> latents_mean_, latents_std_;
};

}  // namespace daguerre::models

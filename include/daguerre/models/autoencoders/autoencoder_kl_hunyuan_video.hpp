#pragma once

#include <vector>

#include "daguerre/models/autoencoders/autoencoder_kl.hpp"
#include "daguerre/models/autoencoders/detail/hunyuan_coders.hpp"
#include "daguerre/models/autoencoders/film_tiling.hpp"

namespace daguerre::models {

/// diffusers' AutoencoderKLHunyuanVideo.
struct AutoencoderKlHunyuanVideoConfig : HunyuanShape {
  float scaling_factor = 0.476986f;  ///< denoisers see latents times this

  /// Throws ConfigError for another class, for options it does not know and for values it does not support.
  static AutoencoderKlHunyuanVideoConfig from(const Config& config);
};

/// HunyuanVideo's causal autoencoder of films (Kong et al. 2024, sec. 4.1): the first frame becomes one
/// latent frame, every `temporal_compression_ratio` that follow another. Its norms see all frames they are
/// given at once, so a film longer than `FilmTiling::frames` is worked on in overlapping groups of frames,
/// which are blended: memory does not grow with the number of frames. Latents here are unscaled.
template <class T>
class AutoencoderKlHunyuanVideo {
 public:
  AutoencoderKlHunyuanVideo(const AutoencoderKlHunyuanVideoConfig& config, const nn::Loader& loader);

  /// The distribution of latents `[N, F', h, w, latent_channels]` of films `[N, F, H, W, in_channels]` in
  /// [-1, 1], in groups of frames as `groups` has it. Throws ArgumentError for another shape, sides shorter
  /// than the ratio and groups that are not possible.
  LatentDistribution encode(const ops::Context& context, const Tensor<float>& films,
                            const FilmTiling& groups = {}) const;
  /// Films `[N, F, H, W, out_channels]`, about [-1, 1], from latents `[N, F', h, w, latent_channels]`.
  Tensor<float> decode(const ops::Context& context, const Tensor<float>& latents,
                       const FilmTiling& groups = {}) const;
  /// The same of one film, its frames handed to `sink` as they come.
  void decode(const ops::Context& context, const Tensor<float>& latents, const FilmSink& sink,
              const FilmTiling& groups = {}) const;

  /// As encode and decode, tile by tile, where a side is longer than a tile.
  LatentDistribution encode_tiled(const ops::Context& context, const Tensor<float>& films,
                                  const FilmTiling& tiling) const;
  Tensor<float> decode_tiled(const ops::Context& context, const Tensor<float>& latents,
                             const FilmTiling& tiling) const;
  void decode_tiled(const ops::Context& context, const Tensor<float>& latents, const FilmSink& sink,
                    const FilmTiling& tiling) const;

  const AutoencoderKlHunyuanVideoConfig& config() const noexcept { return config_; }

 private:
  LatentDistribution distribution(const ops::Context& context, const Tensor<float>& films,
                                  const FilmTiling& tiling, bool tiled) const;
  void frames(const ops::Context& context, const Tensor<float>& latents, const FilmSink& sink,
              const FilmTiling& tiling, bool tiled) const;
  /// Of a group of frames.
  Tensor<float> encoded(const ops::Context& context, const Tensor<float>& film, const FilmTiling& tiling,
                        bool tiled) const;
  Tensor<float> decoded(const ops::Context& context, const Tensor<float>& latents, const FilmTiling& tiling,
                        bool tiled) const;

  AutoencoderKlHunyuanVideoConfig config_;
  HunyuanEncoder<T> encoder_;
  HunyuanDecoder<T> decoder_;
  nn::Conv3d<float> quant_conv_, post_quant_conv_;
};

}  // namespace daguerre::models

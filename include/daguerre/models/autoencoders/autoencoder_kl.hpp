#pragma once

#include <optional>
#include <vector>

#include "daguerre/models/autoencoders/autoencoder_parts.hpp"

namespace daguerre::models {

/// diffusers' AutoencoderKL.
struct AutoencoderKlConfig : AutoencoderShape {
  float shift_factor = 0.0f;  ///< denoisers see (z - shift_factor) * scaling_factor
  /// By channel, or empty: what pipelines of Stable Diffusion XL normalise latents by instead.
  std::vector<float> latents_mean, latents_std;
  bool use_quant_conv = true;
  bool use_post_quant_conv = true;

  /// Throws ConfigError for another class, for options it does not know and for values it does not support.
  static AutoencoderKlConfig from(const Config& config);
};

/// A diagonal normal distribution over latents, `[N, h, w, latent_channels]` each.
struct LatentDistribution {
  Tensor<float> mean;
  Tensor<float> logvar;  ///< clamped to [-30, 20]

  Tensor<float> std(const ops::Context& context) const;
  /// mean + std * noise; `noise` has the shape of mean. Throws ArgumentError for another.
  Tensor<float> sample(const ops::Context& context, const Tensor<float>& noise) const;
};

/// How large pictures are worked on piece by piece, so that memory does not grow with their area. Each tile
/// has its own normalisation statistics: the result differs visibly from the untiled one.
struct Tiling {
  Index sample_min_size = 512;   ///< side of a tile in pixels
  Index latent_min_size = 64;    ///< the same in latents
  double overlap_factor = 0.25;  ///< part of a tile that is blended into its neighbour
};

/// The variational autoencoder of latent diffusion (Rombach et al. 2022, app. G): pictures `[N, H, W, 3]` in
/// [-1, 1] to latents
/// `[N, H / 8, W / 8, 4]` and back. Latents here are unscaled; the pipeline applies scaling_factor and
/// shift_factor.
template <class T>
class AutoencoderKl {
 public:
  AutoencoderKl(const AutoencoderKlConfig& config, const nn::Loader& loader);

  /// The distribution of latents for pictures `[N, H, W, in_channels]` in [-1, 1].
  LatentDistribution encode(const ops::Context& context, const Tensor<float>& pictures) const;
  /// Pictures, about [-1, 1], from unscaled latents `[N, h, w, latent_channels]`.
  Tensor<float> decode(const ops::Context& context, const Tensor<float>& latents) const;

  /// As encode and decode, tile by tile, where a side is longer than a tile.
  LatentDistribution encode_tiled(const ops::Context& context, const Tensor<float>& pictures,
                                  const Tiling& tiling) const;
  Tensor<float> decode_tiled(const ops::Context& context, const Tensor<float>& latents,
                             const Tiling& tiling) const;
  /// The tiling that the reference uses for this configuration.
  Tiling default_tiling() const;

  const AutoencoderKlConfig& config() const noexcept { return config_; }

 private:
  /// Mean and log variance side by side, `[N, h, w, 2 * latent_channels]`.
  Tensor<float> moments(const ops::Context& context, const Tensor<float>& pictures) const;

  AutoencoderKlConfig config_;
  AutoencoderEncoder<T> encoder_;
  AutoencoderDecoder<T> decoder_;
  std::optional<nn::Linear<T>> quant_conv_, post_quant_conv_;  // 1 x 1 convolutions
};

}  // namespace daguerre::models

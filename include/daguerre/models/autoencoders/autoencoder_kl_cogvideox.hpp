#pragma once

#include <vector>

#include "daguerre/config/config.hpp"
#include "daguerre/models/autoencoders/autoencoder_kl.hpp"
#include "daguerre/models/autoencoders/detail/cogvideox_coders.hpp"
#include "daguerre/models/autoencoders/film_tiling.hpp"

namespace daguerre::models {

/// diffusers' AutoencoderKLCogVideoX; defaults are its own.
struct CogVideoXAutoencoderConfig {
  Index in_channels = 3, out_channels = 3;
  std::vector<Index> block_out_channels{128, 256, 256, 512};
  Index latent_channels = 16;
  int layers_per_block = 3;
  ops::Activation act_fn = ops::Activation::silu;
  float norm_eps = 1e-6f;
  int norm_num_groups = 32;
  Index temporal_compression_ratio = 4;
  Index sample_height = 480, sample_width = 720;  ///< tiles are half as large
  float scaling_factor = 1.15258426f;             ///< denoisers see z * scaling_factor
  /// Of a picture that a film begins with, they see z / scaling_factor.
  bool invert_scale_latents = false;

  /// Levels at which time is halved, too.
  int temporal_levels() const noexcept;
  /// Pixels along a side to one latent.
  Index downscale() const noexcept { return Index{1} << (block_out_channels.size() - 1); }

  /// Throws ConfigError for another class, for options it does not know and for values it does not support.
  static CogVideoXAutoencoderConfig from(const Config& config);
};

/// How films are worked on in overlapping tiles (diffusers' enable_tiling). Steps and what is kept of a tile
/// are cut to whole pixels and latents one by one, as there: where they do not come out at the same places
/// the result has another size.
struct CogVideoXTiling {
  Index sample_min_height = 240, sample_min_width = 360;         ///< of a tile in pixels
  double overlap_height = 1.0 / 6.0, overlap_width = 1.0 / 5.0;  ///< part that is blended into the neighbour
};

/// The causal autoencoder of films of CogVideoX (Yang et al. 2024, sec. 2.1): films `[N, F, H, W, 3]` in
/// [-1, 1] to latents `[N, F', H / 8, W / 8, 16]` and back. It takes eight frames at a time, or two latents,
/// what remains with the first ones; the layers keep what the next ones need. The first of an odd number of
/// frames has a latent of its own, four of the others share one; **an even number of n latents gives 4 n
/// frames**, an odd one 4 n - 3. Latents here are unscaled.
template <class T>
class AutoencoderKlCogVideoX {
 public:
  AutoencoderKlCogVideoX(const CogVideoXAutoencoderConfig& config, const nn::Loader& loader);

  /// The distribution of latents for films `[N, F, H, W, in_channels]`; in tiles where they are given, and a
  /// side is longer than one. Throws ArgumentError.
  LatentDistribution encode(const ops::Context& context, const Tensor<float>& films,
                            const CogVideoXTiling* tiling = nullptr) const;
  /// Films, about [-1, 1], from unscaled latents `[N, F', h, w, latent_channels]`, likewise.
  Tensor<float> decode(const ops::Context& context, const Tensor<float>& latents,
                       const CogVideoXTiling* tiling = nullptr) const;
  /// The same of one film, whose frames are handed on chunk by chunk.
  void decode(const ops::Context& context, const Tensor<float>& latents, const FilmSink& sink,
              const CogVideoXTiling* tiling = nullptr) const;
  /// The tiling that the reference uses for this configuration.
  CogVideoXTiling default_tiling() const;

  const CogVideoXAutoencoderConfig& config() const noexcept { return config_; }

 private:
  CogVideoXAutoencoderConfig config_;
  detail::CogVideoXEncoder<T> encoder_;
  detail::CogVideoXDecoder<T> decoder_;
};

}  // namespace daguerre::models

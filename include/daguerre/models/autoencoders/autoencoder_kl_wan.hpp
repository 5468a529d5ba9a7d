#pragma once

#include <vector>

#include "daguerre/models/autoencoders/autoencoder_kl.hpp"
#include "daguerre/models/autoencoders/detail/wan_coders.hpp"
#include "daguerre/models/autoencoders/film_tiling.hpp"

namespace daguerre::models {

/// diffusers' AutoencoderKLWan, of Wan 2.1 and 2.2.
struct AutoencoderKlWanConfig : WanShape {
  Index patch_size = 1;  ///< pixels along a side of a picture whose colours are channels of one position
  /// By channel: denoisers see (z - mean) / std.
  std::vector<float> latents_mean, latents_std;
  bool clip_output = true;  ///< what is decoded is cut off at -1 and 1

  /// Of a picture that is encoded.
  Index pixel_channels() const { return in_channels / (patch_size * patch_size); }
  /// Pixels along a side of a picture to one latent.
  Index space_ratio() const { return patch_size * network_space_ratio(); }
  /// Throws ConfigError for another class, for options it does not know and for values it does not support.
  static AutoencoderKlWanConfig from(const Config& config);
};

/// The causal autoencoder of films (Wan Team 2025, sec. 4.1): the first frame becomes one latent frame, and
/// every four that follow become another. Frames see those before them only, so that both ways go through a
/// film chunk by chunk, what layers have seen being carried over: memory does not grow with the number of
/// frames. Latents here are not normalised by `latents_mean` and `latents_std`.
template <class T>
class AutoencoderKlWan {
 public:
  AutoencoderKlWan(const AutoencoderKlWanConfig& config, const nn::Loader& loader);

  /// The distribution of latents `[N, F', h, w, z_dim]` of films `[N, F, H, W, 3]` in [-1, 1], F' = 1 + (F -
  /// 1) / 4 rounded down for `temperal_downsample` twice; frames behind 4 k + 1 are not looked at, as in the
  /// reference. Throws ArgumentError for another shape and sides that
  /// are shorter than the ratio or no multiples of `patch_size`.
  LatentDistribution encode(const ops::Context& context, const Tensor<float>& films) const;
  /// Films `[N, F, H, W, 3]` in [-1, 1] from latents `[N, F', h, w, z_dim]`.
  Tensor<float> decode(const ops::Context& context, const Tensor<float>& latents) const;
  /// The same of one film, its frames handed to `sink` as they come.
  void decode(const ops::Context& context, const Tensor<float>& latents, const FilmSink& sink) const;

  /// As encode and decode, tile by tile, where a side is longer than a tile.
  LatentDistribution encode_tiled(const ops::Context& context, const Tensor<float>& films,
                                  const FilmTiling& tiling) const;
  Tensor<float> decode_tiled(const ops::Context& context, const Tensor<float>& latents,
                             const FilmTiling& tiling) const;

  const AutoencoderKlWanConfig& config() const noexcept { return config_; }

 private:
  /// Patches of one film to mean and log variance side by side.
  Tensor<float> moments(const ops::Context& context, const Tensor<float>& patches) const;
  /// What `take` is given of one film's latents is patches, which are not cut off.
  void patches(const ops::Context& context, const Tensor<float>& latents, const FilmSink& take) const;
  Tensor<float> pixels_of(const ops::Context& context, const Tensor<float>& patches, bool clamps) const;
  Tensor<float> patches_of(const ops::Context& context, const Tensor<float>& films) const;

  AutoencoderKlWanConfig config_;
  WanEncoder<T> encoder_;
  WanDecoder<T> decoder_;
  nn::Conv3d<float> quant_conv_, post_quant_conv_;
};

}  // namespace daguerre::models

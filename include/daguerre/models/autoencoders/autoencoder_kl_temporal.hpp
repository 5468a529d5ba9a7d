#pragma once

#include <optional>
#include <vector>

#include "daguerre/models/autoencoders/autoencoder_kl.hpp"
#include "daguerre/nn/conv3d.hpp"
#include "daguerre/nn/temporal_conv.hpp"

namespace daguerre::models {

/// diffusers' AutoencoderKLTemporalDecoder.
struct AutoencoderKlTemporalConfig : AutoencoderShape {
  /// Throws ConfigError for another class, for options it does not know and for values it does not support.
  static AutoencoderKlTemporalConfig from(const Config& config);
};

/// A residual layer between pixels, and one along the frames mixed with it.
template <class T>
struct TemporalDecoderLayer {
  nn::ResnetBlock2D<T> spatial;
  nn::TemporalResnet<T> temporal;

  TemporalDecoderLayer(const nn::Loader& block, int index, Index in, Index out);
};

/// Latents of a film's frames `[N, F, h, w, latent_channels]` to frames `[N, F, H, W, out_channels]`, each of
/// which depends on all (diffusers' TemporalDecoder).
template <class T>
class TemporalDecoder {
 public:
  TemporalDecoder(const nn::Loader& loader, const AutoencoderShape& shape);
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& latents) const;

 private:
  using Layer = TemporalDecoderLayer<T>;
  struct Block {
    std::vector<Layer> layers;
    std::optional<nn::Upsample2D<T>> upsampler;
  };
  nn::Conv2d<T> conv_in_;
  std::vector<Layer> mid_;  // one, or two with attention between them
  std::optional<nn::SpatialAttention<T>> mid_attention_;
  std::vector<Block> blocks_;
  nn::GroupNorm norm_out_;
  nn::Conv2d<T> conv_out_;
  nn::Conv3d<T> time_conv_out_;
};

/// The autoencoder of Stable Video Diffusion (Blattmann et al. 2023): pictures are encoded one by one, as
/// AutoencoderKl does it, and decoded together. Latents here are unscaled; the pipeline applies
/// scaling_factor.
template <class T>
class AutoencoderKlTemporal {
 public:
  AutoencoderKlTemporal(const AutoencoderKlTemporalConfig& config, const nn::Loader& loader);

  /// The distribution of latents for pictures `[N, H, W, in_channels]` in [-1, 1].
  LatentDistribution encode(const ops::Context& context, const Tensor<float>& pictures) const;
  /// Frames, about [-1, 1], from unscaled latents `[N, F, h, w, latent_channels]`. Frames that are decoded
  /// together see each other: a film in pieces is another one.
  Tensor<float> decode(const ops::Context& context, const Tensor<float>& latents) const;

  const AutoencoderKlTemporalConfig& config() const noexcept { return config_; }

 private:
  AutoencoderKlTemporalConfig config_;
  AutoencoderEncoder<T> encoder_;
  TemporalDecoder<T> decoder_;
  nn::Linear<T> quant_conv_;  // a 1 x 1 convolution
};

}  // namespace daguerre::models

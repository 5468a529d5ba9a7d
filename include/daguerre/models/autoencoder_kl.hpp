#pragma once

#include <optional>
#include <vector>

#include "daguerre/nn/attention.hpp"
#include "daguerre/nn/resnet.hpp"
#include "daguerre/weights/config.hpp"

namespace daguerre::models {

/// diffusers' AutoencoderKL. Levels run from the outermost (the picture's own size) inwards.
struct AutoencoderKlConfig {
  Index in_channels = 3;
  Index out_channels = 3;
  Index latent_channels = 4;
  std::vector<Index> block_out_channels;
  int layers_per_block = 1;
  ops::Activation act_fn = ops::Activation::silu;
  int norm_num_groups = 32;
  int sample_size = 512;            ///< decides the size of tiles
  float scaling_factor = 0.18215f;  ///< denoisers see (z - shift_factor) * scaling_factor
  float shift_factor = 0.0f;
  bool use_quant_conv = true;
  bool use_post_quant_conv = true;
  bool mid_block_add_attention = true;

  /// Throws ConfigError for another class, for options it does not know and for values it does not support.
  static AutoencoderKlConfig from(const weights::Config& config);
  /// Pixels a latent stands for, along one side: 8 for Stable Diffusion.
  Index downscale() const { return Index{1} << (block_out_channels.size() - 1); }
};

/// A diagonal normal distribution over latents, `[N, h, w, latent_channels]` each.
struct LatentDistribution {
  Tensor<float> mean;
  Tensor<float> logvar;  ///< clamped to [-30, 20]

  Tensor<float> std() const;
  /// mean + std * noise; `noise` has the shape of mean.
  Tensor<float> sample(const Tensor<float>& noise) const;
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
  /// Two residual blocks, attention over all pixels between them.
  struct MidBlock {
    MidBlock(const nn::Loader& loader, const AutoencoderKlConfig& config, Index channels);
    Tensor<float> operator()(const ops::Context& context, Tensor<float> x) const;
    nn::ResnetBlock2D<T> first;
    std::optional<nn::SpatialAttention<T>> attention;
    nn::ResnetBlock2D<T> second;
  };
  struct Encoder {
    Encoder(const nn::Loader& loader, const AutoencoderKlConfig& config);
    Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x) const;
    struct Block {
      std::vector<nn::ResnetBlock2D<T>> resnets;
      std::optional<nn::Downsample2D<T>> downsampler;
    };
    nn::Conv2d<T> conv_in;
    std::vector<Block> blocks;
    MidBlock mid;
    nn::GroupNorm norm_out;
    nn::Conv2d<T> conv_out;
  };
  struct Decoder {
    Decoder(const nn::Loader& loader, const AutoencoderKlConfig& config);
    Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x) const;
    struct Block {
      std::vector<nn::ResnetBlock2D<T>> resnets;
      std::optional<nn::Upsample2D<T>> upsampler;
    };
    nn::Conv2d<T> conv_in;
    MidBlock mid;
    std::vector<Block> blocks;
    nn::GroupNorm norm_out;
    nn::Conv2d<T> conv_out;
  };
  /// Mean and log variance side by side, `[N, h, w, 2 * latent_channels]`.
  Tensor<float> moments(const ops::Context& context, const Tensor<float>& pictures) const;

  AutoencoderKlConfig config_;
  Encoder encoder_;
  Decoder decoder_;
  std::optional<nn::Linear<T>> quant_conv_, post_quant_conv_;  // 1 x 1 convolutions
};

}  // namespace daguerre::models

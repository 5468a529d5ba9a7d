#pragma once

#include <optional>
#include <vector>

#include "daguerre/config/config.hpp"
#include "daguerre/nn/attention.hpp"
#include "daguerre/nn/resnet.hpp"

namespace daguerre::models {

/// What the autoencoders of diffusers have in common. Levels run from the outermost (the picture's own size)
/// inwards.
struct AutoencoderShape {
  Index in_channels = 3;
  Index out_channels = 3;
  Index latent_channels = 4;
  std::vector<Index> block_out_channels;
  std::vector<bool> down_attention;  ///< by level: AttnDownEncoderBlock2D, else DownEncoderBlock2D
  std::vector<bool> up_attention;    ///< by level: AttnUpDecoderBlock2D, else UpDecoderBlock2D
  int layers_per_block = 1;
  ops::Activation act_fn = ops::Activation::silu;
  int norm_num_groups = 32;
  bool mid_block_add_attention = true;
  Index sample_size = 32;           ///< decides the size of tiles
  float scaling_factor = 0.18215f;  ///< denoisers see latents times this

  /// Reads the keys that the classes share; `default_latents` is a class's own number of latent channels. A
  /// class whose decoder has blocks of one kind has no `up_block_types`. Throws ConfigError for what is not
  /// possible.
  void read(const Config& config, Index default_latents, bool has_up_block_types = true);
  /// Pixels a latent stands for, along one side: 8 for Stable Diffusion.
  Index downscale() const { return Index{1} << (block_out_channels.size() - 1); }
};

/// Residual layers, each with attention between all pixels behind it or none.
template <class T>
struct AutoencoderLayer {
  AutoencoderLayer(const nn::Loader& block, int index, const AutoencoderShape& shape, Index in, Index out,
                   bool attends);
  nn::ResnetBlock2D<T> resnet;
  std::optional<nn::SpatialAttention<T>> attention;
};

/// Two residual layers, attention between them.
template <class T>
class AutoencoderMidBlock {
 public:
  AutoencoderMidBlock(const nn::Loader& loader, const AutoencoderShape& shape);
  Tensor<float> operator()(const ops::Context& context, Tensor<float> x) const;

 private:
  AutoencoderLayer<T> first_, second_;
};

/// Pictures `[N, H, W, in_channels]` to `[N, h, w, out]` (diffusers' Encoder).
template <class T>
class AutoencoderEncoder {
 public:
  AutoencoderEncoder(const nn::Loader& loader, const AutoencoderShape& shape, Index out);
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x) const;

 private:
  struct Block {
    std::vector<AutoencoderLayer<T>> layers;
    std::optional<nn::Downsample2D<T>> downsampler;
  };
  nn::Conv2d<T> conv_in_;
  std::vector<Block> blocks_;
  AutoencoderMidBlock<T> mid_;
  nn::GroupNorm norm_out_;
  nn::Conv2d<T> conv_out_;
};

/// `[N, h, w, latent_channels]` to pictures `[N, H, W, out_channels]` (diffusers' Decoder).
template <class T>
class AutoencoderDecoder {
 public:
  AutoencoderDecoder(const nn::Loader& loader, const AutoencoderShape& shape);
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x) const;

 private:
  struct Block {
    std::vector<AutoencoderLayer<T>> layers;
    std::optional<nn::Upsample2D<T>> upsampler;
  };
  nn::Conv2d<T> conv_in_;
  AutoencoderMidBlock<T> mid_;
  std::vector<Block> blocks_;
  nn::GroupNorm norm_out_;
  nn::Conv2d<T> conv_out_;
};

}  // namespace daguerre::models

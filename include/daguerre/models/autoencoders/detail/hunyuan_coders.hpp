#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "daguerre/config/config.hpp"
#include "daguerre/models/autoencoders/detail/edge_conv3d.hpp"
#include "daguerre/nn/linear.hpp"
#include "daguerre/nn/norm.hpp"

/// What AutoencoderKlHunyuanVideo is made of.
namespace daguerre::models {

/// The networks on both sides. Levels run from the outermost inwards.
struct HunyuanShape {
  Index in_channels = 3, out_channels = 3;
  Index latent_channels = 16;
  std::vector<Index> block_out_channels{128, 256, 512, 512};
  int layers_per_block = 2;
  ops::Activation act_fn = ops::Activation::silu;
  int norm_num_groups = 32;
  Index spatial_compression_ratio = 8, temporal_compression_ratio = 4;
  bool mid_block_add_attention = true;

  /// How many steps halve space, and how many time.
  int space_steps() const;
  int time_steps() const;
  /// Whether the i-th step inwards, or outwards, changes the number of pixels or of frames.
  bool changes_space(std::size_t i) const;
  bool changes_time(std::size_t i) const;
};

namespace detail {

/// norm, activation and convolution, twice, and what skips them (diffusers' HunyuanVideoResnetBlockCausal3D).
template <class T>
class HunyuanResidualBlock {
 public:
  HunyuanResidualBlock(const nn::Loader& loader, const HunyuanShape& shape, Index in, Index out);
  /// Norms look at all frames first, and are then applied to one after the other, as the convolution behind
  /// them comes to it: frames that are given away go as their results come.
  nn::FrameList<float> operator()(const ops::Context& context, nn::FrameList<float> x) const;

 private:
  nn::GroupNorm norm1_, norm2_;
  EdgeConv3d<T> conv1_, conv2_;
  std::optional<EdgeConv3d<T>> conv_shortcut_;
};

/// Attention between all positions of a film, each of which sees its own frame and those before it.
template <class T>
class FrameCausalAttention {
 public:
  FrameCausalAttention(const nn::Loader& loader, Index channels, int groups);
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x) const;

 private:
  std::shared_ptr<const ops::Engine> engine_;
  nn::GroupNorm norm_;
  nn::Linear<T> to_qkv_, to_out_;
  Index channels_;
};

/// Two residual layers, perhaps attention between them (diffusers' HunyuanVideoMidBlock3D).
template <class T>
class HunyuanMidBlock {
 public:
  HunyuanMidBlock(const nn::Loader& loader, const HunyuanShape& shape);
  nn::FrameList<float> operator()(const ops::Context& context, nn::FrameList<float> x) const;

 private:
  HunyuanResidualBlock<T> first_;
  std::optional<FrameCausalAttention<T>> attention_;
  HunyuanResidualBlock<T> second_;
};

/// Pixels, and frames behind the first one, repeated, then a convolution (HunyuanVideoUpsampleCausal3D).
template <class T>
class HunyuanUpsample {
 public:
  HunyuanUpsample(const nn::Loader& loader, Index channels, bool in_space, bool in_time)
      : conv_(loader.sub("conv"), channels, channels, 3), in_space_(in_space), in_time_(in_time) {}
  nn::FrameList<float> operator()(const ops::Context& context, nn::FrameList<float> x) const;

 private:
  EdgeConv3d<T> conv_;
  bool in_space_, in_time_;
};

}  // namespace detail

/// A film `[1, F, H, W, in_channels]` to `[1, F', h, w, 2 latent_channels]` (diffusers'
/// HunyuanVideoEncoder3D).
template <class T>
class HunyuanEncoder {
 public:
  HunyuanEncoder(const nn::Loader& loader, const HunyuanShape& shape);
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x) const;

 private:
  struct Level {
    std::vector<detail::HunyuanResidualBlock<T>> resnets;
    std::optional<detail::EdgeConv3d<T>> downsampler;
  };
  detail::EdgeConv3d<float> conv_in_;  // tiny, and its error would reach every pixel, as the last one's
  std::vector<Level> levels_;
  detail::HunyuanMidBlock<T> mid_;
  nn::GroupNorm norm_out_;
  detail::EdgeConv3d<float> conv_out_;
};

/// Latents `[1, F', h, w, latent_channels]` to a film `[1, F, H, W, out_channels]` (HunyuanVideoDecoder3D).
template <class T>
class HunyuanDecoder {
 public:
  HunyuanDecoder(const nn::Loader& loader, const HunyuanShape& shape);
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x) const;

 private:
  struct Level {
    std::vector<detail::HunyuanResidualBlock<T>> resnets;
    std::optional<detail::HunyuanUpsample<T>> upsampler;
  };
  detail::EdgeConv3d<float> conv_in_;   // tiny, and its error would reach every pixel, as the last one's
  detail::HunyuanMidBlock<float> mid_;  // of small maps: float32 costs little here
  std::vector<Level> levels_;
  nn::GroupNorm norm_out_;
  detail::EdgeConv3d<float> conv_out_;
};

}  // namespace daguerre::models

#pragma once

#include <optional>
#include <vector>

#include "daguerre/config/config.hpp"
#include "daguerre/models/autoencoders/detail/edge_conv3d.hpp"
#include "daguerre/models/autoencoders/film_tiling.hpp"
#include "daguerre/nn/attention.hpp"
#include "daguerre/ops/space_time.hpp"

/// What AutoencoderKlMochi is made of.
namespace daguerre::models {

/// The networks on both sides. Levels run from the outermost inwards.
struct MochiShape {
  Index in_channels = 15;  ///< a picture's colours, and sines and cosines of them at two frequencies
  Index out_channels = 3;
  std::vector<Index> encoder_block_out_channels{64, 128, 256, 384};
  std::vector<Index> decoder_block_out_channels{128, 256, 512, 768};
  Index latent_channels = 12;
  std::vector<int> layers_per_block{3, 3, 4, 6, 3};  ///< of each level, and of the innermost block
  ops::Activation act_fn = ops::Activation::silu;
  std::vector<Index> temporal_expansions{1, 2, 3};  ///< by each step inwards
  std::vector<Index> spatial_expansions{2, 2, 2};
  std::vector<bool> add_attention_block{false, true, true, true, true};  ///< in the encoder

  Index picture_channels() const { return in_channels / 5; }
  Index space_ratio() const;
  /// Frames to one latent frame, behind the first one.
  Index time_ratio() const;
};

namespace detail {

/// Group norm of each frame by itself (diffusers' MochiChunkedGroupNorm3D).
class FrameGroupNorm {
 public:
  FrameGroupNorm(const nn::Loader& loader, Index channels, ops::Activation activation);
  /// `[N, F, H, W, C]`, rounded to T.
  template <class T>
  Tensor<T> apply(const ops::Context& context, const Tensor<float>& x) const;

 private:
  nn::GroupNorm norm_;
};

/// norm, activation and convolution, twice, added to what they were made from (diffusers'
/// MochiResnetBlock3D).
template <class T>
class MochiResidualBlock {
 public:
  MochiResidualBlock(const nn::Loader& loader, Index channels, ops::Activation activation);
  /// `x[N, F, H, W, C]`, of one film where there is a stream.
  Tensor<float> operator()(const ops::Context& context, Tensor<float> x, nn::FrameStream<T>* stream) const;

 private:
  FrameGroupNorm norm1_, norm2_;
  EdgeConv3d<T> conv1_, conv2_;
};

/// Attention of each place to itself in the frames before.
template <class T>
class MochiTimeAttention {
 public:
  /// Reads the norm and the attention.
  MochiTimeAttention(const nn::Loader& norm, const nn::Loader& attention, Index channels);
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x) const;

 private:
  FrameGroupNorm norm_;
  nn::Attention<T> attention_;
};

/// Residual layers, with attention behind each or none (diffusers' MochiMidBlock3D).
template <class T>
class MochiLayers {
 public:
  MochiLayers(const nn::Loader& loader, Index channels, int count, bool attends, ops::Activation activation);
  Tensor<float> operator()(const ops::Context& context, Tensor<float> x,
                           nn::FrameStream<T>* stream = nullptr) const;

 private:
  std::vector<MochiResidualBlock<T>> resnets_;
  std::vector<MochiTimeAttention<T>> attentions_;
};

}  // namespace detail

/// Films `[N, F, H, W, 3]` to `[N, F', h, w, 2 latent_channels]` (diffusers' MochiEncoder3D).
template <class T>
class MochiEncoder {
 public:
  MochiEncoder(const nn::Loader& loader, const MochiShape& shape);
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x) const;

 private:
  struct Step {
    detail::EdgeConv3d<T> conv_in;
    detail::MochiLayers<T> layers;
  };
  nn::Linear<float> proj_in_;  // tiny, and its error would reach every pixel, as the last one's
  detail::MochiLayers<T> block_in_;
  std::vector<Step> steps_;
  detail::MochiLayers<T> block_out_;
  detail::FrameGroupNorm norm_out_;
  nn::Linear<float> proj_out_;
};

/// Latents `[1, F', h, w, latent_channels]` to films `[1, F' time_ratio, H, W, out_channels]` (diffusers'
/// MochiDecoder3D).
template <class T>
class MochiDecoder {
 public:
  /// What the layers have seen of a film; one for each run.
  using Stream = std::vector<nn::FrameStream<T>>;

  MochiDecoder(const nn::Loader& loader, const MochiShape& shape);
  Stream stream() const { return Stream(steps_.size() + 2); }
  /// A chunk of one latent frame.
  void operator()(const ops::Context& context, const Tensor<float>& x, Stream& stream,
                  const FilmSink& sink) const;

 private:
  struct Step {
    detail::MochiLayers<T> layers;
    nn::Linear<T> proj;
    ops::SpaceTimeBlock block;
    Index channels = 0;  ///< of the layers
  };
  void outwards(const ops::Context& context, Tensor<float> x, std::size_t step, Stream& stream,
                const FilmSink& sink) const;

  nn::Conv3d<T> conv_in_;
  detail::MochiLayers<T> block_in_;
  std::vector<Step> steps_;
  detail::MochiLayers<T> block_out_;
  ops::Activation activation_;
  Index outermost_;  // channels
  nn::Linear<T> proj_out_;
};

}  // namespace daguerre::models

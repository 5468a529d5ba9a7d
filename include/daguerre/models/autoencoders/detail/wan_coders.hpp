#pragma once

#include <optional>
#include <vector>

#include "daguerre/config/config.hpp"
#include "daguerre/models/autoencoders/film_tiling.hpp"
#include "daguerre/nn/conv.hpp"
#include "daguerre/nn/conv3d.hpp"
#include "daguerre/nn/linear.hpp"
#include "daguerre/nn/norm.hpp"
#include "daguerre/ops/space_time.hpp"

/// What AutoencoderKlWan is made of.
namespace daguerre::models {

/// The networks on both sides. Levels run from the outermost inwards.
struct WanShape {
  Index base_dim = 96;
  Index decoder_base_dim = 96;
  Index z_dim = 16;
  std::vector<Index> dim_mult{1, 2, 4, 4};  ///< channels of each level, in multiples of base_dim
  int num_res_blocks = 2;
  std::vector<double> attn_scales;  ///< sizes, relative to the whole, at which the encoder attends
  std::vector<bool> temperal_downsample{false, true, true};  ///< which steps inwards halve time, too
  bool is_residual = false;  ///< levels have shortcuts of means and repetitions (Wan 2.2)
  Index in_channels = 3, out_channels = 3;

  Index network_space_ratio() const { return Index{1} << (dim_mult.size() - 1); }
  /// Frames to one latent frame, behind the first one.
  Index time_ratio() const;
  /// Channels before the first level and behind each, inwards or, in the decoder, outwards.
  std::vector<Index> encoder_widths() const;
  std::vector<Index> decoder_widths() const;
};

namespace detail {

/// What a part of the network has seen of a film; one for each run. Levels are given other numbers of frames
/// at a time, and so have streams of their own.
template <class T>
struct WanStream {
  nn::FrameStream<float> first;             ///< the first convolution
  nn::FrameStream<T> inner;                 ///< the innermost blocks
  std::vector<nn::FrameStream<T>> levels;   ///< residual layers
  std::vector<nn::FrameStream<T>> between;  ///< the steps in time from one level to the next
  nn::FrameStream<float> last;              ///< the last convolution
  bool is_first = true;                     ///< no chunk has gone through yet
};

/// norm, SiLU and causal convolution, twice, and what skips them (diffusers' WanResidualBlock).
template <class T>
class WanResidualBlock {
 public:
  WanResidualBlock(const nn::Loader& loader, Index in, Index out);
  /// `x[1, F, H, W, in]`; one that is given away is freed as soon as it has been read.
  Tensor<float> operator()(const ops::Context& context, Tensor<float> x, nn::FrameStream<T>& stream) const;

 private:
  nn::RmsNorm norm1_, norm2_;
  nn::Conv3d<T> conv1_, conv2_;
  std::optional<nn::Conv3d<T>> conv_shortcut_;
};

/// Attention between the pixels of each frame (diffusers' WanAttentionBlock).
template <class T>
class WanAttentionBlock {
 public:
  WanAttentionBlock(const nn::Loader& loader, Index channels);
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x) const;

 private:
  std::shared_ptr<const ops::Engine> engine_;
  nn::RmsNorm norm_;
  nn::Linear<T> to_qkv_, proj_;
  Index channels_;
};

/// Two residual layers, attention between them (diffusers' WanMidBlock).
template <class T>
class WanMidBlock {
 public:
  WanMidBlock(const nn::Loader& loader, Index channels);
  Tensor<float> operator()(const ops::Context& context, Tensor<float> x, nn::FrameStream<T>& stream) const;

 private:
  WanResidualBlock<T> first_;
  WanAttentionBlock<T> attention_;
  WanResidualBlock<T> second_;
};

/// The step from a level to the one inside of it: half as many pixels along each side, and perhaps half as
/// many frames behind the first one (diffusers' WanResample).
template <class T>
class WanDownsample {
 public:
  WanDownsample(const nn::Loader& loader, Index channels, bool in_time);
  /// Of some frames.
  Tensor<float> in_space(const ops::Context& context, const Tensor<float>& x) const;
  /// Of what a chunk has become in space. The first chunk, of one frame, stays as it is.
  Tensor<float> in_time(const ops::Context& context, Tensor<float> x, nn::FrameStream<T>& stream) const;

 private:
  nn::Conv2d<T> conv_;
  std::optional<nn::Conv3d<T>> time_conv_;
};

/// The step outwards: twice as many pixels along each side, and perhaps twice as many frames behind the first
/// one.
template <class T>
class WanUpsample {
 public:
  WanUpsample(const nn::Loader& loader, Index in, Index out, bool in_time);
  /// The first chunk, of one frame, stays one. `residual` is added.
  Tensor<float> operator()(const ops::Context& context, Tensor<float> x, bool is_first,
                           nn::FrameStream<T>& stream, Tensor<float> residual) const;

 private:
  nn::Conv2d<T> conv_;
  std::optional<nn::Conv3d<T>> time_conv_;
};

}  // namespace detail

/// Films `[1, F, H, W, in_channels]` to `[1, F', h, w, 2 z_dim]` (diffusers' WanEncoder3d).
template <class T>
class WanEncoder {
 public:
  WanEncoder(const nn::Loader& loader, const WanShape& shape);
  detail::WanStream<T> stream() const;
  /// A chunk: the first frame, or four that follow.
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x,
                           detail::WanStream<T>& stream) const;

 private:
  struct Level {
    std::vector<detail::WanResidualBlock<T>> resnets;
    std::vector<detail::WanAttentionBlock<T>> attentions;  ///< behind each, or none
    std::optional<detail::WanDownsample<T>> downsampler;
    std::optional<ops::SpaceTimeBlock> shortcut;  ///< means of such blocks are added
    Index channels = 0;                           ///< behind it
  };
  Tensor<float> through(const ops::Context& context, Tensor<float> x, std::size_t level,
                        detail::WanStream<T>& stream) const;

  nn::Conv3d<float> conv_in_;  // tiny, and its error would reach every pixel, as the last one's
  std::vector<Level> levels_;
  detail::WanMidBlock<T> mid_;
  nn::RmsNorm norm_out_;
  nn::Conv3d<float> conv_out_;
};

/// Latents `[1, F', h, w, z_dim]` to films `[1, F, H, W, out_channels]` (diffusers' WanDecoder3d).
template <class T>
class WanDecoder {
 public:
  WanDecoder(const nn::Loader& loader, const WanShape& shape);
  detail::WanStream<T> stream() const;
  /// A chunk of one latent frame.
  void operator()(const ops::Context& context, const Tensor<float>& x, detail::WanStream<T>& stream,
                  const FilmSink& sink) const;

 private:
  struct Level {
    std::vector<detail::WanResidualBlock<T>> resnets;
    std::optional<detail::WanUpsample<T>> upsampler;
    std::optional<ops::SpaceTimeBlock> shortcut;  ///< repetitions in such blocks are added
    Index channels = 0;                           ///< of the residual layers
    Index out = 0;                                ///< behind the step outwards
  };
  void outwards(const ops::Context& context, Tensor<float> x, std::size_t level, detail::WanStream<T>& stream,
                const FilmSink& sink) const;

  nn::Conv3d<float> conv_in_;  // tiny, and its error would reach every pixel, as the last one's
  detail::WanMidBlock<T> mid_;
  std::vector<Level> levels_;
  nn::RmsNorm norm_out_;
  nn::Conv3d<float> conv_out_;
};

}  // namespace daguerre::models

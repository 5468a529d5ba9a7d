#pragma once

#include <optional>
#include <vector>

#include "daguerre/nn/conv.hpp"
#include "daguerre/nn/conv3d.hpp"
#include "daguerre/nn/linear.hpp"
#include "daguerre/nn/norm.hpp"

/// What CogVideoX's autoencoder is made of. Films come in chunks, as lists of their frames; in a stream each
/// layer keeps the frames that the next chunk needs. A chunk's frames are many and large: norms look at all
/// of them first, and are then applied to one after the other, as the convolution behind them comes to it.
namespace daguerre::models {

struct CogVideoXAutoencoderConfig;

namespace detail {

/// A group norm and the activation behind it. Those of the decoder are steered place by place by the latents
/// that are decoded (diffusers' CogVideoXSpatialNorm3D).
template <class T>
class CogVideoXNorm {
 public:
  struct Options {
    Index channels = 0;
    int groups = 32;
    float epsilon = 1e-6f;
    ops::Activation activation = ops::Activation::silu;
    Index latent_channels = 0;  ///< 0: no latents steer it
  };
  /// What it does to the frames of a chunk.
  struct Chunk {
    std::vector<ops::NormStatistics::Group> statistics;
    Tensor<float> maps;  ///< [f, h, w, 2 C], empty where no latents steer it
    Index frames = 0;
  };
  CogVideoXNorm(const nn::Loader& loader, const Options& options);

  /// `latents[1, f, h, w, latent_channels]` of the same chunk, empty where none steer it. Statistics are
  /// those of the chunk.
  Chunk look_at(const ops::Context& context, const nn::FrameList<float>& frames,
                const Tensor<float>& latents) const;
  /// Frame `i` of that chunk.
  Tensor<T> operator()(const ops::Context& context, const Chunk& chunk, const Tensor<float>& frame,
                       Index i) const;

 private:
  nn::GroupNorm norm_;
  std::optional<nn::Linear<float>> maps_;  // scales and shifts, side by side: as large as the latents, tiny
};

/// diffusers' CogVideoXResnetBlock3D.
template <class T>
class CogVideoXResnet {
 public:
  CogVideoXResnet(const nn::Loader& loader, Index in, Index out,
                  const typename CogVideoXNorm<T>::Options& norm);

  nn::FrameList<float> operator()(const ops::Context& context, nn::FrameList<float> x,
                                  const Tensor<float>& latents, nn::FrameStream<T>& stream) const;

 private:
  CogVideoXNorm<T> norm1_;
  nn::Conv3d<T> conv1_;
  CogVideoXNorm<T> norm2_;
  nn::Conv3d<T> conv2_;
  std::optional<nn::Linear<T>> conv_shortcut_;
};

/// Films `[1, F, H, W, in_channels]` to mean and log variance side by side.
template <class T>
class CogVideoXEncoder {
 public:
  CogVideoXEncoder(const nn::Loader& loader, const CogVideoXAutoencoderConfig& config);
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& films,
                           nn::FrameStream<T>& stream, bool is_last) const;

 private:
  struct Block {
    std::vector<CogVideoXResnet<T>> resnets;
    std::optional<nn::Downsample2D<T>> downsampler;
    bool compresses_time = false;
  };
  nn::Conv3d<T> conv_in_;
  std::vector<Block> blocks_;
  std::vector<CogVideoXResnet<T>> mid_;
  CogVideoXNorm<T> norm_out_;
  nn::Conv3d<T> conv_out_;
};

/// Latents `[1, f, h, w, latent_channels]` to films.
template <class T>
class CogVideoXDecoder {
 public:
  CogVideoXDecoder(const nn::Loader& loader, const CogVideoXAutoencoderConfig& config);
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& latents,
                           nn::FrameStream<T>& stream, bool is_last) const;

 private:
  struct Block {
    std::vector<CogVideoXResnet<T>> resnets;
    std::optional<nn::Upsample2D<T>> upsampler;
    bool compresses_time = false;
  };
  nn::Conv3d<T> conv_in_;
  std::vector<CogVideoXResnet<T>> mid_;
  std::vector<Block> blocks_;
  CogVideoXNorm<T> norm_out_;
  nn::Conv3d<T> conv_out_;
};

}  // namespace detail
}  // namespace daguerre::models

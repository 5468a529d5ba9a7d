#pragma once

#include <array>
#include <optional>
#include <vector>

#include "daguerre/nn/conv3d.hpp"
#include "daguerre/nn/linear.hpp"
#include "daguerre/nn/norm.hpp"
#include "daguerre/nn/time_mixer.hpp"

/// Convolutions along the frames of films. A film's frames lie one behind the other, `[N F, H, W, C]`, as
/// layers of pictures take them; norms are over all frames of a film.
namespace daguerre::nn {

/// Four convolutions along the frames, each with norm and SiLU before it, and a residual connection around
/// them (Wang et al. 2023, ModelScope; diffusers' TemporalConvLayer).
template <class T>
class TemporalConvLayer {
 public:
  /// Reads `conv1.0`, `conv1.2`, `conv2.0`, `conv2.3` … `conv4.3`.
  TemporalConvLayer(const Loader& loader, Index channels, int groups);
  /// `x[N frames, H, W, channels]` to the same shape. Throws ArgumentError where `frames` does not divide it.
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x, Index frames) const;

 private:
  struct Step {
    GroupNorm norm;
    Conv3d<T> conv;
  };
  std::vector<Step> steps_;
};

/// A residual layer along the frames, mixed with what it is given (diffusers' TemporalResnetBlock and the
/// AlphaBlender of SpatioTemporalResBlock).
template <class T>
class TemporalResnet {
 public:
  struct Options {
    Index channels = 0;
    Index temb_channels = 0;  ///< width of the time embedding; 0 for none
    int groups = 32;
    float epsilon = 1e-5f;
    bool switched = false;  ///< see TimeMixer
  };
  /// Reads `temporal_res_block` and `time_mixer`.
  TemporalResnet(const Loader& loader, const Options& options);
  /// `x[N frames, H, W, channels]` to the same shape; `temb[N, temb_channels]`, of the films, where the layer
  /// has a time embedding. Throws ArgumentError.
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x, Index frames,
                           const Tensor<float>* temb = nullptr) const;

 private:
  GroupNorm norm1_;
  Conv3d<T> conv1_;
  std::optional<Linear<float>> time_emb_proj_;
  GroupNorm norm2_;
  Conv3d<T> conv2_;
  TimeMixer mixer_;
};

}  // namespace daguerre::nn

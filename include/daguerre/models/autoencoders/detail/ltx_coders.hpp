#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "daguerre/models/autoencoders/detail/ltx_stream.hpp"
#include "daguerre/nn/conditioning_embedding.hpp"
#include "daguerre/nn/conv3d.hpp"
#include "daguerre/nn/norm.hpp"
#include "daguerre/ops/space_time.hpp"

/// What LTX-Video's autoencoders are made of. Convolutions put the outermost frames, repeated, before and
/// behind a film: all of them before it where they are causal.
namespace daguerre::models {

/// The configuration of either half, in the order in which the network runs through it.
struct LTXCoderShape {
  /// How an encoder's block ends, and how a decoder's begins.
  enum class Resampling {
    none,
    strided,  ///< a convolution that moves by two frames, rows and columns
    shuffled  ///< a convolution whose channels are, or come from, a block's places, and a shortcut around it
  };
  struct Block {
    Index channels = 0;  ///< behind it
    int layers = 1;
    Resampling resampling = Resampling::none;
    ops::SpaceTimeBlock factor{};  ///< of the resampling
    Index upscale = 1;             ///< a decoder's takes so many times the channels it has
    bool residual = false;         ///< a decoder's has the shortcut
    bool injects_noise = false;    ///< a decoder's layers have noise added
  };
  Index pixel_channels = 0;   ///< of patches
  Index latent_channels = 0;  ///< an encoder has one more, the variance
  Index channels = 0;         ///< behind an encoder's and before a decoder's first convolution
  std::vector<Block> blocks;
  int mid_layers = 1;
  bool mid_injects_noise = false;
  bool is_causal = true;
  bool timestep_conditioning = false;  ///< a decoder is told how much noise latents hold
  float resnet_epsilon = 1e-6f;        ///< of the norm before a shortcut
};

/// Gives a plane of noise, `[height, width]`, from a standard normal distribution.
using NoisePlanes = std::function<Tensor<float>(Index height, Index width)>;

/// Two convolutions, each behind a norm without parameters, and a shortcut around both (diffusers'
/// LTXVideoResnetBlock3d).
template <class T>
class LTXResnetBlock {
 public:
  struct Options {
    Index in = 0, out = 0;
    bool is_causal = true;
    bool injects_noise = false;
    bool timestep_conditioning = false;
    float epsilon = 1e-6f;
  };
  LTXResnetBlock(const nn::Loader& loader, const Options& options);

  /// `x[N, F, H, W, in]`; `embedding[N, 4 in]` where it is conditioned on time. With a stream x is a chunk.
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x,
                           const Tensor<float>& embedding, const NoisePlanes& noise,
                           LTXStream<T>* stream = nullptr) const;

 private:
  Tensor<T> normed(const ops::Context& context, const Tensor<float>& x, const Tensor<float>& modulation,
                   int part) const;
  Tensor<float> with_noise(const ops::Context& context, Tensor<float> x, const Tensor<float>& scale,
                           const NoisePlanes& noise, LTXStream<T>* stream) const;

  nn::RmsNorm norm1_, norm2_;        // where nothing modulates them
  Tensor<float> scale_shift_table_;  // [4 in], or empty
  Tensor<float> noise1_, noise2_;    // by channel, or empty
  LTXConv<T> conv1_, conv2_;
  std::optional<nn::LayerNorm> norm3_;
  std::optional<nn::Conv3d<T>> conv_shortcut_;
};

/// Several of them, of one width, which share an embedding of the time (diffusers' LTXVideoMidBlock3d).
template <class T>
class LTXResnets {
 public:
  /// Reads `resnets` and, where it is conditioned, `time_embedder`.
  LTXResnets(const nn::Loader& loader, Index channels, int layers,
             const typename LTXResnetBlock<T>::Options& options);
  /// `times`: one for each of the N, where it is conditioned.
  Tensor<float> operator()(const ops::Context& context, Tensor<float> x, std::span<const float> times,
                           const NoisePlanes& noise, LTXStream<T>* stream = nullptr) const;

 private:
  std::optional<nn::TimestepSizeEmbedding> time_embedder_;
  std::vector<LTXResnetBlock<T>> layers_;
};

/// A convolution whose channels become a block of places, or the other way, and a shortcut that moves x
/// itself like that (diffusers' LTXVideoUpsampler3d and LTXVideoDownsampler3d). The frames before a film's
/// first one are not there: up, they are dropped; down, the first ones stand for them.
template <class T>
class LTXShuffle {
 public:
  LTXShuffle(const nn::Loader& loader, Index in, Index out, const ops::SpaceTimeBlock& factor, bool grows,
             bool is_causal, bool has_shortcut);
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x,
                           LTXStream<T>* stream = nullptr) const;

 private:
  Tensor<float> up(const ops::Context& context, const Tensor<float>& x, LTXStream<T>* stream) const;
  Tensor<float> down(const ops::Context& context, const Tensor<float>& x) const;

  Index out_;
  ops::SpaceTimeBlock factor_;
  bool grows_, has_shortcut_;
  LTXConv<T> conv_;
};

/// Patches to moments (diffusers' LTXVideoEncoder3d).
template <class T>
class LTXEncoder {
 public:
  LTXEncoder(const LTXCoderShape& shape, const nn::Loader& loader);
  /// `[N, F', h, w, latent_channels + 1]`.
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& patches) const;

 private:
  struct Block {
    LTXResnets<T> resnets;
    std::optional<nn::Conv3d<T>> strided;
    std::optional<LTXShuffle<T>> shuffled;
    std::optional<LTXResnetBlock<T>> conv_out;
  };
  nn::Conv3d<float> conv_in_;
  std::vector<Block> blocks_;
  LTXResnets<T> mid_block_;
  nn::RmsNorm norm_out_;
  nn::Conv3d<float> conv_out_;
};

/// Latents to patches (diffusers' LTXVideoDecoder3d).
template <class T>
class LTXDecoder {
 public:
  LTXDecoder(const LTXCoderShape& shape, const nn::Loader& loader);
  /// `timesteps`: one for each of the N, where it is conditioned. With a stream latents are a chunk of one
  /// film, which may give no patches yet. Throws ArgumentError where noise is asked for and there is none,
  /// and for planes of another shape.
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& latents,
                           std::span<const float> timesteps, const NoisePlanes& noise,
                           LTXStream<T>* stream = nullptr) const;

 private:
  struct Block {
    std::optional<LTXResnetBlock<T>> conv_in;
    std::optional<LTXShuffle<T>> shuffled;
    LTXResnets<T> resnets;
  };
  LTXConv<float> conv_in_;
  LTXResnets<T> mid_block_;
  std::vector<Block> blocks_;
  nn::RmsNorm norm_out_;
  std::optional<nn::TimestepSizeEmbedding> time_embedder_;
  Tensor<float> scale_shift_table_;  // [2 channels], or empty
  float timestep_scale_ = 1.0f;
  LTXConv<float> conv_out_;
};

}  // namespace daguerre::models

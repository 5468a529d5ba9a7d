#pragma once

#include <vector>

#include "daguerre/nn/temporal_windows.hpp"
#include "daguerre/nn/time_mixer.hpp"
#include "daguerre/nn/timestep.hpp"
#include "daguerre/nn/transformer.hpp"

/// Transformers along the frames of films, each pixel by itself. A film's frames lie one behind the other,
/// `[N F, H, W, C]`, as layers of pictures take them.
namespace daguerre::nn {

/// Transformer blocks whose attentions, two each or one, look along the frames, between two projections and
/// with a residual connection around all of it (Wang et al. 2023, ModelScope; diffusers'
/// TransformerTemporalModel with double_self_attention; with positions the motion module of AnimateDiff, Guo
/// et al. 2023, diffusers' AnimateDiffTransformer3D). The group norm, of epsilon 1e-6, is over all frames.
template <class T>
class TemporalTransformer {
 public:
  struct Options {
    Index in_channels = 0;
    int num_layers = 1;
    int norm_num_groups = 32;
    int num_attention_heads = 8;
    bool double_self_attention = true;  ///< two attentions a block
    Index attention_head_dim = 64;
    Index positions = 0;  ///< frames whose places the blocks are told; 0: they are told none
  };
  TemporalTransformer(const Loader& loader, const Options& options);
  /// `x[N frames, H, W, in_channels]` to the same shape. With `windows`, attention is kept to them, and norms
  /// and perceptrons are not. Throws ArgumentError where `frames` does not divide it, and for more frames in
  /// a window than there are positions.
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x, Index frames,
                           const TemporalWindows* windows = nullptr) const;

 private:
  GroupNorm norm_;
  // In float32: all that the blocks find goes through them, and they take little of the time.
  Linear<float> proj_in_;
  std::vector<BasicTransformerBlock<T>> blocks_;
  Linear<float> proj_out_;
};

/// A transformer block along the frames that begins with a perceptron: x += ff_in(norm_in(x)), then as
/// BasicTransformerBlock (diffusers' TemporalBasicTransformerBlock).
template <class T>
class TemporalTransformerBlock {
 public:
  TemporalTransformerBlock(const Loader& loader, const TransformerOptions& options);
  /// `x[N, F, dim]`, of pixels; states as BasicTransformerBlock takes them.
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x,
                           const Tensor<T>* encoder_hidden_states) const;

 private:
  LayerNorm norm_in_;
  FeedForward<T> ff_in_;
  BasicTransformerBlock<T> block_;
};

/// Transformer blocks over the pixels of each frame, each followed by one along the frames whose result is
/// mixed with its own (Blattmann et al. 2023, Stable Video Diffusion; diffusers'
/// TransformerSpatioTemporalModel, whose group norm has 32 groups and epsilon 1e-6).
template <class T>
class SpaceTimeTransformer {
 public:
  struct Options {
    Index in_channels = 0;  ///< heads divide it
    int num_layers = 1;
    int num_attention_heads = 8;
    Index cross_attention_dim = 0;
  };
  /// Throws ConfigError where the heads do not divide the channels.
  SpaceTimeTransformer(const Loader& loader, const Options& options);
  /// `x[N frames, H, W, in_channels]` to the same shape, `encoder_hidden_states[N, S, cross_attention_dim]`.
  /// Throws ArgumentError where `frames` does not divide it.
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x,
                           const Tensor<T>* encoder_hidden_states, Index frames) const;

 private:
  /// What each frame is told of its place in the film, `[frames, in_channels]`.
  Tensor<float> places(const ops::Context& context, Index frames) const;

  Index channels_;
  GroupNorm norm_;
  Linear<T> proj_in_;
  TimestepEmbedding<float> time_pos_embed_;  // tiny, and its error would reach every pixel: float32
  struct Layer {
    BasicTransformerBlock<T> spatial;
    TemporalTransformerBlock<T> temporal;
  };
  std::vector<Layer> layers_;
  TimeMixer mixer_;
  Linear<T> proj_out_;
};

}  // namespace daguerre::nn

#pragma once

#include <span>
#include <string>
#include <vector>

#include "daguerre/nn/attention.hpp"

namespace daguerre::nn {

/// The two-layer perceptron of a transformer block, `[..., dim]` to `[..., dim]` (diffusers' FeedForward).
/// `activation_fn`: "geglu" and "swiglu" gate (value * gelu(gate), value * silu(gate)); "gelu",
/// "gelu-approximate" (tanh), "linear-silu" and "geglu-approximate" (x * sigmoid(1.702 x), which despite its
/// name gates nothing) do not.
template <class T>
class FeedForward {
 public:
  struct Options {
    std::string activation_fn = "geglu";
    Index inner = 0;   ///< width between the two layers; 0: 4 dim
    bool bias = true;  ///< of both layers
  };
  /// Reads `net.0.proj` and `net.2`. Throws ConfigError for an unknown activation.
  FeedForward(const Loader& loader, Index dim, const Options& options);
  /// The same with an inner width of `mult * dim`.
  FeedForward(const Loader& loader, Index dim, const std::string& activation_fn = "geglu", Index mult = 4)
      : FeedForward(loader, dim, Options{activation_fn, checked_multiply(dim, mult)}) {}
  /// The same with an inner width of its own.
  static FeedForward of_width(const Loader& loader, Index dim, Index inner,
                              const std::string& activation_fn) {
    return FeedForward(loader, dim, Options{activation_fn, inner});
  }

  /// `residual`, of x's shape, is added to the result.
  Tensor<float> operator()(const ops::Context& context, const Tensor<T>& x,
                           const Tensor<float>* residual = nullptr) const;

 private:
  struct Kind {
    ops::Activation activation;
    bool gated;
  };
  static Kind kind_of(const std::string& activation_fn);
  FeedForward(const Loader& loader, Index dim, Index inner, bool bias, const Kind& kind);

  Kind kind_;
  Linear<T> proj_in_, proj_out_;
};

struct TransformerOptions {
  Index dim = 0;  ///< heads * head_dim inside Transformer2D
  int num_attention_heads = 8;
  Index attention_head_dim = 64;
  Index cross_attention_dim = 0;      ///< 0: no cross-attention
  bool only_cross_attention = false;  ///< the first attention, too, looks at the encoder's states
  /// The second attention is there, and looks at the tokens themselves; without cross_attention_dim.
  bool double_self_attention = false;
  /// Rows of a table of positions, each added to a token behind the norms before the attentions; 0: none.
  Index positions = 0;
  std::string activation_fn = "geglu";
};

/// x += attn1(norm1(x)); x += attn2(norm2(x), encoder_hidden_states); x += ff(norm3(x)) on `[N, L, dim]`
/// (diffusers' BasicTransformerBlock with layer norms of epsilon 1e-5). The states are `[M, S, D]`, each for
/// as many neighbours of the N; see Attention.
template <class T>
class BasicTransformerBlock {
 public:
  /// The table of positions is `pos_embed.pe`, or where the file has none, sines and cosines in turn
  /// (diffusers' SinusoidalPositionalEmbedding).
  BasicTransformerBlock(const Loader& loader, const TransformerOptions& options);

  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x,
                           const Tensor<T>* encoder_hidden_states, const Tensor<float>* key_bias,
                           std::span<const DecoupledKeys> decoupled = {}) const;

  /// The same in two parts: the attentions, and the perceptron on what they made. Throws ArgumentError for
  /// more tokens than the table has positions.
  Tensor<float> attentions(const ops::Context& context, const Tensor<float>& x,
                           const Tensor<T>* encoder_hidden_states, const Tensor<float>* key_bias,
                           std::span<const DecoupledKeys> decoupled = {}) const;
  Tensor<float> perceptron(const ops::Context& context, const Tensor<float>& x) const {
    return ff_(context, norm3_.template apply<T>(context, x), &x);
  }

 private:
  /// What an attention looks at.
  Tensor<T> seen(const ops::Context& context, const LayerNorm& norm, const Tensor<float>& x) const;

  bool only_cross_attention_, double_self_attention_;
  Tensor<float> positions_;  // [rows, dim], or empty
  LayerNorm norm1_;
  Attention<T> attn1_;
  std::optional<LayerNorm> norm2_;
  std::optional<Attention<T>> attn2_;
  LayerNorm norm3_;
  FeedForward<T> ff_;
};

/// A stack of transformer blocks over the pixels of `[N, H, W, C]`, between two projections and with a
/// residual connection around all of it (diffusers' Transformer2DModel on continuous input; group norm of
/// epsilon 1e-6).
template <class T>
class Transformer2D {
 public:
  struct Options {
    Index in_channels = 0;
    int num_layers = 1;
    int norm_num_groups = 32;
    bool use_linear_projection =
        false;                 ///< the file holds linear layers, else 1 x 1 convolutions; the same arithmetic
    TransformerOptions block;  ///< `dim` is worked out
  };
  Transformer2D(const Loader& loader, const Options& options);

  /// `decoupled` is empty, or has what each block's second attention looks at beside the prompt.
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x,
                           const Tensor<T>* encoder_hidden_states, const Tensor<float>* key_bias = nullptr,
                           std::span<const std::vector<DecoupledKeys>> decoupled = {}) const;

 private:
  GroupNorm norm_;
  Linear<T> proj_in_;
  std::vector<BasicTransformerBlock<T>> blocks_;
  Linear<T> proj_out_;
};

}  // namespace daguerre::nn

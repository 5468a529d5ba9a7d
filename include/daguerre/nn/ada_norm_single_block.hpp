#pragma once

#include <optional>
#include <string>

#include "daguerre/nn/ada_norm_single.hpp"
#include "daguerre/nn/transformer.hpp"

namespace daguerre::nn {

struct AdaNormSingleOptions {
  Index dim = 0;
  int num_attention_heads = 1;
  Index attention_head_dim = 64;
  Index cross_attention_dim = 0;  ///< of the prompt's tokens; 0: the block looks at none
  bool attention_bias = true;
  std::string activation_fn = "gelu-approximate";
  float norm_eps = 1e-6f;
};

/// A block that adds a table of its own to the modulation that all have in common (Chen et al. 2023, fig. 2;
/// diffusers' BasicTransformerBlock with "ada_norm_single"): attention of the tokens to each other, to the
/// prompt without a norm before it, and a feed-forward network.
template <class T>
class AdaNormSingleBlock {
 public:
  /// Reads `scale_shift_table`, `attn1`, `ff` and, where there is a prompt, `attn2`.
  AdaNormSingleBlock(const Loader& loader, const AdaNormSingleOptions& options);

  /// `x[N, L, dim]` to the same shape; `modulation[N, 6 dim]` is AdaLayerNormSingle's, `key_bias[N, S]` of
  /// the `prompt[N, S, cross_attention_dim]`. Where the L tokens are several `sequences` of one length (a
  /// film's frames), one behind the other, only those of one look at each other. Throws ArgumentError where
  /// they do not divide into so many.
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x,
                           const Tensor<float>& modulation, const Tensor<T>* prompt = nullptr,
                           const Tensor<float>* key_bias = nullptr, Index sequences = 1) const;

 private:
  float norm_eps_;
  Tensor<float> scale_shift_table_;  // [6 dim]
  Attention<T> attn1_;
  std::optional<Attention<T>> attn2_;
  FeedForward<T> ff_;
};

}  // namespace daguerre::nn

#pragma once

#include <optional>

#include "daguerre/nn/attention.hpp"

namespace daguerre::nn {

/// How the tokens of a prompt are normalised before attention reads them (diffusers' cross_attention_norm).
enum class CrossNorm { none, layer_norm, group_norm };

/// The norm of a CrossNorm with its weights: over the channels of each token, or over 32 groups of channels
/// of all tokens together; epsilon 1e-5.
template <class T>
class TokenNorm {
 public:
  /// Reads `weight[width]` and `bias[width]`. Throws ConfigError where 32 does not divide the width.
  TokenNorm(const Loader& loader, Index width, CrossNorm kind);
  /// `states[N, S, width]` to the same shape.
  Tensor<T> operator()(const ops::Context& context, const Tensor<T>& states) const;

 private:
  std::optional<LayerNorm> layer_norm_;
  std::optional<GroupNorm> group_norm_;
};

/// Attention from the pixels of `[N, H, W, C]` to the tokens of a prompt and, behind them, to each other, in
/// one softmax; keys and values of the two have projections of their own. x +
/// to_out(attention(group_norm(x))) (diffusers' Attention with added_kv_proj_dim and AttnAddedKVProcessor, as
/// DeepFloyd IF and Kandinsky have it; norms of epsilon 1e-5).
template <class T>
class AddedKvAttention {
 public:
  struct Options {
    Index channels = 0;
    int heads = 1;
    Index head_dim = 64;
    Index states_dim = 0;               ///< width of the prompt's tokens
    int norm_num_groups = 32;           ///< of the pixels' norm
    bool only_cross_attention = false;  ///< the pixels do not look at each other
    CrossNorm cross_norm = CrossNorm::none;
  };
  /// Reads `group_norm`, `to_q`, `add_k_proj`, `add_v_proj`, `to_out.0`, and where they are wanted `to_k`,
  /// `to_v` and `norm_cross`. Throws WeightError and ConfigError.
  AddedKvAttention(const Loader& loader, const Options& options);

  /// `states[N, S, states_dim]`; `key_bias[N, S]` is added to the logits of the prompt's tokens.
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x, const Tensor<T>& states,
                           const Tensor<float>* key_bias = nullptr) const;

 private:
  Options options_;
  std::shared_ptr<const ops::Engine> engine_;
  GroupNorm group_norm_;
  std::optional<TokenNorm<T>> norm_cross_;
  Linear<T> to_q_;
  std::optional<Linear<T>> to_kv_;
  Linear<T> add_kv_proj_;
  Linear<T> to_out_;
};

}  // namespace daguerre::nn

#pragma once

#include <optional>
#include <span>

#include "daguerre/nn/decoupled_keys.hpp"
#include "daguerre/nn/linear.hpp"
#include "daguerre/nn/norm.hpp"
#include "daguerre/ops/heads.hpp"
#include "daguerre/ops/profile.hpp"

namespace daguerre::nn {

/// The engine's attention, timed by the context's profile.
template <class T>
Tensor<T> attend(const ops::Context& context, const ops::Engine& engine,
                 const ops::AttentionArguments<T>& arguments) {
  const ops::Profile::Scope scope(context, ops::OpKind::attention, arguments.flops());
  return engine.as<T>().attention(context, arguments);
}

/// The norm of the queries' and keys' heads: diffusers' `qk_norm` "layer_norm", "rms_norm" and "l2" with
/// parameters or without ("fp32_layer_norm" is "layer_norm" without), the first two also "…_across_heads".
struct QueryKeyNorm {
  ops::HeadNorm::Kind kind = ops::HeadNorm::Kind::rms_norm;
  bool elementwise_affine = true;  ///< has parameters; never so in "l2"
  float epsilon = 1e-5f;
  bool across_heads = false;  ///< of all heads of a token together, with a parameter for each channel
};
/// The norm of that name, diffusers' Attention's. Throws ConfigError naming those there are.
QueryKeyNorm query_key_norm_called(std::string_view name, bool elementwise_affine, float epsilon);

struct AttentionOptions {
  Index query_dim = 0;
  /// Width of the tokens that keys and values come from; 0 for self-attention.
  Index cross_attention_dim = 0;
  int heads = 8;
  Index head_dim = 64;
  bool bias = false;     ///< of the query, key and value projections
  bool out_bias = true;  ///< of the projection that follows
  bool scale_qk = true;  ///< false: the logits are not divided by sqrt(head_dim)
  /// What queries and keys go through before the logits are formed, if anything.
  std::optional<QueryKeyNorm> qk_norm{};
  bool causal = false;  ///< a token sees those before it and itself only
};

/// Multi-head attention with its projections (Vaswani et al. 2017, sec. 3.2; diffusers' Attention with the
/// default processor): softmax(Q K^T / sqrt(head_dim)) V.
template <class T>
class Attention {
 public:
  /// Reads `to_q`, `to_k`, `to_v`, `to_out.0` or, where those are absent, the names that older autoencoder
  /// files use: `query`, `key`, `value`, `proj_attn`; with a norm that has parameters `norm_q` and `norm_k`.
  /// Throws WeightError; ConfigError for a number of heads below 1.
  Attention(const Loader& loader, const AttentionOptions& options);

  /// `x[N, L, query_dim]`; `encoder_hidden_states[M, S, cross_attention_dim]` unless it is self-attention,
  /// each for as many neighbours of the N, as a film's frames are; `key_bias[M, S]` is added to the logits;
  /// `residual`, `[N, L, query_dim]`, is added to the result. Throws ArgumentError for states that do not
  /// divide the N evenly and for decoupled keys of another shape.
  Tensor<float> operator()(const ops::Context& context, const Tensor<T>& x,
                           const Tensor<T>* encoder_hidden_states = nullptr,
                           const Tensor<float>* key_bias = nullptr, const Tensor<float>* residual = nullptr,
                           std::span<const DecoupledKeys> decoupled = {}) const;

  /// The same of states that are a single token, `[M, 1, cross_attention_dim]`: it has all the weight,
  /// whatever asks for it, so that there are no queries. What is found is added to `residual`.
  Tensor<float> of_one_token(const ops::Context& context, const Tensor<T>& encoder_hidden_states,
                             const Tensor<float>& residual) const;

 private:
  /// `found` and what the queries find among further keys, before the last projection.
  Tensor<T> with_decoupled(const ops::Context& context, Tensor<T> found,
                           const ops::AttentionArguments<T>& arguments,
                           std::span<const DecoupledKeys> decoupled) const;

  AttentionOptions options_;
  std::shared_ptr<const ops::Engine> engine_;
  std::optional<Linear<T>> to_qkv_;        // self-attention
  std::optional<Linear<T>> to_q_, to_kv_;  // cross-attention
  std::optional<Linear<T>> to_out_;
  std::optional<ops::HeadNorm> norm_q_, norm_k_;
};

/// Self-attention between the pixels of `[N, H, W, C]`: (x + attention(group_norm(x))) /
/// rescale_output_factor (diffusers' Attention with group norm and residual connection, as autoencoders use
/// it).
template <class T>
class SpatialAttention {
 public:
  struct Options {
    Index channels = 0;
    int heads = 1;
    Index head_dim = 0;        ///< 0: channels / heads
    int norm_num_groups = 32;  ///< 0: no group norm
    float norm_epsilon = 1e-6f;
    float rescale_output_factor = 1.0f;
  };
  SpatialAttention(const Loader& loader, const Options& options);
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x) const;

 private:
  std::optional<GroupNorm> norm_;
  Attention<T> attention_;
  float rescale_output_factor_;
};

}  // namespace daguerre::nn

#pragma once

#include <optional>
#include <span>

#include "daguerre/nn/attention.hpp"

namespace daguerre::nn {

/// Queries, keys and values of one kind of tokens, as one product, and the norms of their heads.
template <class T>
class QkvProjection {
 public:
  struct Options {
    Index dim = 0;  ///< of the tokens
    int heads = 1;
    Index head_dim = 0;
    bool bias = true;
    std::optional<QueryKeyNorm> qk_norm{};
  };
  /// What the parts are called: diffusers' own, and those of the text beside a picture.
  struct Names {
    const char *query, *key, *value, *norm_query, *norm_key;
  };
  static constexpr Names own{"to_q", "to_k", "to_v", "norm_q", "norm_k"};
  static constexpr Names added{"add_q_proj", "add_k_proj", "add_v_proj", "norm_added_q", "norm_added_k"};

  /// Throws WeightError; ConfigError for a number of heads below 1.
  QkvProjection(const Loader& loader, const Options& options, const Names& names = own);

  /// `x[N, L, dim]` to `[N, L, 3 heads head_dim]`.
  Tensor<T> operator()(const ops::Context& context, const Tensor<T>& x) const { return to_qkv_(context, x); }

  // The parts of such a result, which they borrow, with what each goes through.
  ops::HeadStream<T> queries(const Tensor<T>& qkv) const { return part(qkv, 0, norm_query_); }
  ops::HeadStream<T> keys(const Tensor<T>& qkv) const { return part(qkv, 1, norm_key_); }
  ops::HeadStream<T> values(const Tensor<T>& qkv) const { return part(qkv, 2, {}); }

 private:
  ops::HeadStream<T> part(const Tensor<T>& qkv, int index, const std::optional<ops::HeadNorm>& norm) const {
    return {ops::TokenView<T>::columns(qkv, index * inner_, inner_), norm ? &*norm : nullptr};
  }
  Index inner_;
  Linear<T> to_qkv_;
  std::optional<ops::HeadNorm> norm_query_, norm_key_;
};

/// Tokens of one kind: what projects them, and what came of it. Borrowed.
template <class T>
struct QkvStream {
  const QkvProjection<T>& projection;
  const Tensor<T>& qkv;
};

/// Attention of all tokens of all streams, which lie one behind the other, to all of them: `[N, sum of L,
/// heads head_dim]`. Queries and keys are turned by `rotation`, where there is one.
template <class T>
Tensor<T> attend_jointly(const ops::Context& context, const ops::Engine& engine,
                         std::span<const QkvStream<T>> streams, int heads, Index head_dim,
                         const ops::RotaryTable* rotation = nullptr);

/// Attention of a picture's tokens and a prompt's to each other, with projections of their own and one
/// softmax (Esser et al. 2024, fig. 2; diffusers' Attention with added projections and JointAttnProcessor2_0
/// or FluxAttnProcessor2_0). The prompt's tokens come first.
template <class T>
class JointAttention {
 public:
  struct Options {
    typename QkvProjection<T>::Options qkv;  ///< of both kinds
    Index prompt_dim = 0;                    ///< of the prompt's tokens; 0: as the picture's
    bool context_pre_only = false;           ///< the prompt's tokens are only looked at
  };
  /// Reads `to_q`, `to_k`, `to_v`, `to_out.0`; `add_q_proj`, `add_k_proj`, `add_v_proj` and, unless they are
  /// only looked at, `to_add_out`; with norms `norm_q`, `norm_k`, `norm_added_q`, `norm_added_k`.
  JointAttention(const Loader& loader, const Options& options);

  struct Output {
    Tensor<float> picture;
    Tensor<float> prompt;  ///< empty where they are only looked at
  };
  /// `picture[N, L, dim]`, `prompt[N, S, prompt_dim]`; `rotation` for the S + L tokens.
  Output operator()(const ops::Context& context, const Tensor<T>& picture, const Tensor<T>& prompt,
                    const ops::RotaryTable* rotation = nullptr) const;

 private:
  int heads_;
  Index head_dim_;
  std::shared_ptr<const ops::Engine> engine_;
  QkvProjection<T> qkv_, added_qkv_;
  Linear<T> to_out_;
  std::optional<Linear<T>> to_add_out_;
};

}  // namespace daguerre::nn

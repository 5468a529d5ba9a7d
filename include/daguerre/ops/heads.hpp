#pragma once

#include <span>

#include "daguerre/ops/engine.hpp"
#include "daguerre/ops/rotary.hpp"

/// What queries and keys go through before the logits are formed.
namespace daguerre::ops {

/// How every head of a query or key is brought to one size, so that logits cannot grow without bound (Henry
/// et al. 2020; Dehghani et al. 2023, sec. 2).
struct HeadNorm {
  enum class Kind {
    layer_norm,  ///< (x - mean) / sqrt(variance + epsilon) * gamma + beta
    rms_norm,    ///< x / sqrt(mean(x^2) + epsilon) * gamma + beta (Zhang & Sennrich 2019, eq. 4)
    l2,          ///< x / max(|x|, epsilon) * gamma + beta
  };
  Kind kind = Kind::rms_norm;
  Tensor<float> gamma;  ///< `[d]`, or empty: 1
  Tensor<float> beta;   ///< `[d]`, or empty: 0
  float epsilon = 1e-5f;
  /// Over all heads of a token together (Wan, LTX): gamma and beta are `[heads * d]` then.
  bool across_heads = false;
};

/// Queries, keys or values of one kind of tokens, text or picture; borrowed.
template <class T>
struct HeadStream {
  TokenView<T> tokens;             ///< `[N, L, heads * d]`
  const HeadNorm* norm = nullptr;  ///< what each head goes through first, if anything
};

/// The streams' tokens one behind the other, `[N, sum of L, heads * d]`: every head normalised as its stream
/// says, or all of a token's at once, and then, where there is a `rotation`, turned by its token's row there
/// (all heads alike, or each by its part of the row). Rounded to T once. Throws ArgumentError for no streams,
/// streams of another batch or width, a `head_dim` that does not divide the width, and parameters or a table
/// of another size.
template <class T>
Tensor<T> join_heads(const Context& context, std::span<const HeadStream<T>> streams, Index head_dim,
                     const RotaryTable* rotation = nullptr);

}  // namespace daguerre::ops

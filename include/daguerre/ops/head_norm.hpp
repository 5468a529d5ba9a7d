#pragma once

#include "daguerre/ops/engine.hpp"

namespace daguerre::ops {

/// How every head of a query or key is brought to one size before the logits are formed, so that they cannot
/// grow without bound (Henry et al. 2020; Dehghani et al. 2023, sec. 2).
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
};

/// Every head of `tokens[N, L, heads * d]` normalised, rounded to T; d is `head_dim`. Throws ArgumentError
/// when `head_dim` does not divide the tokens' width or the parameters are of another size.
template <class T>
Tensor<T> norm_heads(const Context& context, const TokenView<T>& tokens, Index head_dim,
                     const HeadNorm& norm);

}  // namespace daguerre::ops

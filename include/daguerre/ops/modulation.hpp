#pragma once

#include <cstdint>
#include <span>

#include "daguerre/ops/activation.hpp"

namespace daguerre::ops {

/// The `index`-th of the equal parts, C channels each, that lie side by side in `tensor[R, k C]`; borrowed.
struct ChannelChunk {
  const Tensor<float>& tensor;
  int index = 0;
  /// For tokens `[N, L]` one behind the other, which row of `tensor` each reads: models whose tokens have
  /// timesteps of their own. Empty: all tokens of the n-th image read row n, and R is N.
  std::span<const std::int32_t> rows{};
};

/// Layer normalisation, without parameters of its own, of every row of `x[N, L, C]`, modulated as the chunks
/// say and rounded to T: norm(x) * (1 + scale) + shift (Peebles & Xie 2023, sec. 3.2, adaLN).
template <class T>
Tensor<T> modulated_layer_norm(const Context& context, const Tensor<float>& x, const ChannelChunk& scale,
                               const ChannelChunk& shift, float epsilon);

/// The same with the root of the mean square in the place of mean and variance, and an activation behind it:
/// activation(x / sqrt(mean(x^2) + epsilon) * (1 + scale) + shift) (LTX-Video).
template <class T>
Tensor<T> modulated_rms_norm(const Context& context, const Tensor<float>& x, const ChannelChunk& scale,
                             const ChannelChunk& shift, float epsilon,
                             Activation activation = Activation::none);

/// residual + gate * x; `x` and `residual` are `[N, L, C]`. All throw ArgumentError for other shapes, and
/// for rows that are not in the chunk's tensor.
Tensor<float> add_gated(const Context& context, const Tensor<float>& residual, const ChannelChunk& gate,
                        const Tensor<float>& x);

}  // namespace daguerre::ops

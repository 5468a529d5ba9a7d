#pragma once

#include "daguerre/ops/context.hpp"

namespace daguerre::ops {

/// The `index`-th of the equal parts, C channels each, that lie side by side in `tensor[N, k C]`; borrowed.
struct ChannelChunk {
  const Tensor<float>& tensor;
  int index = 0;
};

/// Layer normalisation, without parameters of its own, of every row of `x[N, L, C]`, modulated image by
/// image and rounded to T: norm(x) * (1 + scale) + shift (Peebles & Xie 2023, sec. 3.2, adaLN).
template <class T>
Tensor<T> modulated_layer_norm(const Context& context, const Tensor<float>& x, const ChannelChunk& scale,
                               const ChannelChunk& shift, float epsilon);

/// residual + gate * x, the gate being one row for each image; `x` and `residual` are `[N, L, C]`.
Tensor<float> add_gated(const Context& context, const Tensor<float>& residual, const ChannelChunk& gate,
                        const Tensor<float>& x);

}  // namespace daguerre::ops

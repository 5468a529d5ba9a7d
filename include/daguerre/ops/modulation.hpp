#pragma once

#include <span>

#include "daguerre/ops/context.hpp"

namespace daguerre::ops {

/// The `index`-th of the equal parts, C channels each, that lie side by side in `tensor[N, k C]`: one row for
/// all tokens of an image. Or in `tensor[N, R, k C]`: one for each of the R runs of neighbouring tokens, as
/// long as `runs` says, into which the tokens of every image are divided (frames that are at other
/// timesteps). Borrowed.
struct ChannelChunk {
  const Tensor<float>& tensor;
  int index = 0;
  std::span<const Index> runs{};  ///< how many tokens each of the R is for; none where there are no runs
};

/// Layer normalisation, without parameters of its own, of every row of `x[N, L, C]`, modulated image by
/// image or run by run and rounded to T: norm(x) * (1 + scale) + shift (Peebles & Xie 2023, sec. 3.2, adaLN).
/// Throws ArgumentError for chunks that do not fit, also to each other.
template <class T>
Tensor<T> modulated_layer_norm(const Context& context, const Tensor<float>& x, const ChannelChunk& scale,
                               const ChannelChunk& shift, float epsilon);

/// residual + gate * x, the gate being one row for each image or run; `x` and `residual` are `[N, L, C]`.
/// Throws ArgumentError.
Tensor<float> add_gated(const Context& context, const Tensor<float>& residual, const ChannelChunk& gate,
                        const Tensor<float>& x);

}  // namespace daguerre::ops

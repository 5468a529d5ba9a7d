#pragma once

#include "daguerre/ops/modulation.hpp"

/// Modulation of a prompt's tokens and a picture's that lie one behind the other.
namespace daguerre::ops {

/// What modulates each image's tokens `[N, S + L, C]`: the first S, a prompt's, and those behind them.
struct JointChunk {
  ChannelChunk prompt, picture;
};

/// Layer normalisation of every row of `x[N, S + L, C]` with the parameters `gamma[C]` and `beta[C]`,
/// modulated image by image and rounded to T: norm(x) * (1 + scale) + shift, by one scale and shift for the
/// first `prompt_length` tokens of each image and by another for the rest (diffusers'
/// CogVideoXLayerNormZero). Throws ArgumentError for another shape and more prompt than tokens.
template <class T>
Tensor<T> joint_modulated_norm(const Context& context, const Tensor<float>& x, Index prompt_length,
                               const Tensor<float>& gamma, const Tensor<float>& beta, const JointChunk& scale,
                               const JointChunk& shift, float epsilon);

/// residual + gate * x for `x[N, S + L, C]` with one gate for the first `prompt_length` tokens of each image
/// and another for the rest. A residual that is given away becomes the result. Throws ArgumentError likewise.
Tensor<float> add_joint_gated(const Context& context, Tensor<float> residual, Index prompt_length,
                              const JointChunk& gate, const Tensor<float>& x);

}  // namespace daguerre::ops

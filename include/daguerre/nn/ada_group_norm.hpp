#pragma once

#include "daguerre/nn/linear.hpp"
#include "daguerre/ops/norm.hpp"

namespace daguerre::nn {

/// Group normalisation without weights, scaled and shifted by a projection of the time embedding:
/// norm(x) * (1 + scale) + shift, and the activation that follows it (diffusers' AdaGroupNorm).
class AdaGroupNorm {
 public:
  /// Reads `linear`. Throws ConfigError where `groups` does not divide `channels`.
  AdaGroupNorm(const Loader& loader, Index embedding_dim, Index channels, int groups, float epsilon = 1e-5f,
               ops::Activation activation = ops::Activation::none);

  /// `x[N, ..., channels]`, `embedding[N, embedding_dim]`; the result is rounded to T.
  template <class T>
  Tensor<T> apply(const ops::Context& context, const Tensor<float>& x, const Tensor<float>& embedding) const;

 private:
  Linear<float> linear_;  // tiny, and its error would reach every pixel: float32
  Tensor<float> ones_, zeros_;
  int groups_;
  float epsilon_;
  ops::Activation activation_;
};

}  // namespace daguerre::nn

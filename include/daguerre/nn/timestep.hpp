#pragma once

#include "daguerre/nn/linear.hpp"

namespace daguerre::nn {

/// The perceptron behind the sinusoidal timestep embedding, `[N, in_channels]` to `[N, time_embed_dim]`:
/// linear, activation, linear (diffusers' TimestepEmbedding).
template <class T>
class TimestepEmbedding {
 public:
  TimestepEmbedding(const Loader& loader, Index in_channels, Index time_embed_dim,
                    ops::Activation activation = ops::Activation::silu)
      : linear_1_(loader.sub("linear_1"), in_channels, time_embed_dim, {.activation = activation}),
        linear_2_(loader.sub("linear_2"), time_embed_dim, time_embed_dim) {}

  Tensor<T> operator()(const ops::Context& context, const Tensor<T>& x) const {
    return linear_2_(context, linear_1_(context, x));
  }

 private:
  Linear<T> linear_1_, linear_2_;
};

}  // namespace daguerre::nn

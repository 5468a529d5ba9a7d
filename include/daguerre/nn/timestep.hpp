#pragma once

#include <optional>

#include "daguerre/nn/linear.hpp"
#include "daguerre/ops/elementwise.hpp"

namespace daguerre::nn {

/// The perceptron behind the sinusoidal timestep embedding, `[N, in_channels]` to `[N, out_channels]`:
/// linear, activation, linear, and an activation behind it or none (diffusers' TimestepEmbedding).
template <class T>
class TimestepEmbedding {
 public:
  struct Options {
    ops::Activation activation = ops::Activation::silu;
    ops::Activation post_activation = ops::Activation::none;
    Index condition_channels = 0;  ///< width of a condition that is projected and added to the input; 0: none
    Index out_channels = 0;        ///< of the result; 0: time_embed_dim
  };
  TimestepEmbedding(const Loader& loader, Index in_channels, Index time_embed_dim, const Options& options)
      : linear_1_(loader.sub("linear_1"), in_channels, time_embed_dim, {.activation = options.activation}),
        linear_2_(loader.sub("linear_2"), time_embed_dim,
                  options.out_channels > 0 ? options.out_channels : time_embed_dim,
                  {.activation = options.post_activation}) {
    if (options.condition_channels > 0)
      cond_proj_.emplace(loader.sub("cond_proj"), options.condition_channels, in_channels,
                         typename Linear<T>::Options{.bias = false});
  }
  TimestepEmbedding(const Loader& loader, Index in_channels, Index time_embed_dim,
                    ops::Activation activation = ops::Activation::silu)
      : TimestepEmbedding(loader, in_channels, time_embed_dim, Options{.activation = activation}) {}

  /// `condition[N, condition_channels]` may be left out. Throws ArgumentError where the layer takes none.
  Tensor<T> operator()(const ops::Context& context, const Tensor<T>& x,
                       const Tensor<T>* condition = nullptr) const {
    if (condition == nullptr) return linear_2_(context, linear_1_(context, x));
    if (!cond_proj_) throw ArgumentError("timestep_embedding", "this embedding takes no condition");
    const auto widened = ops::cast<float>(context, x);
    const auto sum = cond_proj_->accumulate(context, *condition, &widened);
    return linear_2_(context, linear_1_(context, ops::cast<T>(context, sum)));
  }

 private:
  Linear<T> linear_1_, linear_2_;
  std::optional<Linear<T>> cond_proj_;
};

}  // namespace daguerre::nn

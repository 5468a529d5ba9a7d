#pragma once

#include <string>
#include <string_view>

#include "daguerre/ops/context.hpp"

namespace daguerre::ops {

/// Element-wise non-linearities. Names in configuration files: see `parse_activation`.
enum class Activation {
  none,
  silu,        ///< x * sigmoid(x), also called swish
  gelu,        ///< x * Phi(x), exact (erf)
  gelu_tanh,   ///< the tanh approximation of gelu
  quick_gelu,  ///< x * sigmoid(1.702 x), CLIP-L's
  relu,        ///< max(x, 0)
  mish,        ///< x * tanh(log(1 + exp(x)))
};

/// The activation a configuration names, in capitals or not: "silu", "swish", "gelu", "gelu_new" and
/// "gelu_pytorch_tanh" (both tanh), "quick_gelu", "relu", "mish". Throws ConfigError for any other; `who`
/// speaks.
Activation parse_activation(std::string_view name, std::string_view who);

/// Applies `activation` to every element.
Tensor<float> activate(const Context& context, const Tensor<float>& x, Activation activation);

/// x where it is positive, else x times its channel's slope: `slopes[C]`, of the last axis, or `[1]`, the
/// same for all (torch's PReLU and LeakyReLU). An x that is given away becomes the result. Throws
/// ArgumentError for another number of slopes.
Tensor<float> leaky_relu(const Context& context, Tensor<float> x, const Tensor<float>& slopes);

/// Gated linear unit: `[..., 2 C]` holds (value, gate) side by side; gives value * activation(gate), `[...,
/// C]`. GEGLU with `gelu` (diffusers' GEGLU), SwiGLU with `silu`.
template <class T>
Tensor<T> gated_activation(const Context& context, const Tensor<T>& x, Activation activation);

}  // namespace daguerre::ops

#pragma once

#include <cmath>

#include "daguerre/ops/activation.hpp"

namespace daguerre::test {

/// The activation in double precision, by its definition: the oracle of the kernels.
inline double reference_activation(double x, ops::Activation activation) {
  using ops::Activation;
  switch (activation) {
    case Activation::none:
      return x;
    case Activation::silu:
      return x / (1 + std::exp(-x));
    case Activation::gelu:
      return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
    case Activation::gelu_tanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
    case Activation::quick_gelu:
      return x / (1 + std::exp(-1.702 * x));
    case Activation::relu:
      return x > 0 ? x : 0;
    case Activation::mish:
      return x * std::tanh(std::log1p(std::exp(x)));
  }
  return 0;
}

}  // namespace daguerre::test

#pragma once

#include <random>

#include "daguerre/core/tensor.hpp"

namespace daguerre::test {

/// Normally distributed values in double; the same for the same seed.
inline Tensor<double> random_matrix(Index rows, Index columns, unsigned seed, double scale = 1.0) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal(0.0, scale);
  Tensor<double> result({rows, columns});
  for (double& value : result.span()) value = normal(generator);
  return result;
}

/// A copy with `shift` added to everything.
inline Tensor<double> shifted(const Tensor<double>& x, double shift) {
  auto result = x.clone();
  for (double& value : result.span()) value += shift;
  return result;
}

}  // namespace daguerre::test

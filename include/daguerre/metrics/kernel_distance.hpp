#pragma once

#include <cstdint>
#include <optional>

#include "daguerre/core/tensor.hpp"
#include "daguerre/metrics/spread.hpp"

namespace daguerre::metrics {

/// k(x, y) = (gamma x.y + coefficient)^degree.
struct PolynomialKernel {
  int degree = 3;
  std::optional<double> gamma{};  ///< 1 / D when not set
  double coefficient = 1.0;
};

/// The squared maximum mean discrepancy between two samples, [M, D] and [N, D], without bias (Gretton et al.,
/// 2012, equation 3):
///
///   sum_{i != j} k(x_i, x_j) / (M (M - 1)) + sum_{i != j} k(y_i, y_j) / (N (N - 1)) - 2 mean k(x_i, y_j).
///
/// Below zero when the samples agree better than chance. T is float or double; sums are in double. Throws
/// ArgumentError for other shapes, fewer than two samples or a degree below 1, NumericError for NaN or
/// infinity in a feature or in the result.
template <class T>
double polynomial_mmd2(const Tensor<T>& x, const Tensor<T>& y, const PolynomialKernel& kernel = {});

struct KernelDistanceOptions {
  Index subsets = 100;
  Index subset_size = 1000;
  std::uint32_t seed = 2020;
  PolynomialKernel kernel{};
};

/// Kernel Inception Distance (Bińkowski et al., arXiv:1801.01401, section 4): `polynomial_mmd2` between
/// random subsets, drawn without replacement from x and then from y by numpy.random.RandomState(seed).choice,
/// as torch-fidelity does. Throws what `polynomial_mmd2` throws; ArgumentError when there are no subsets, or
/// they are larger than a sample.
template <class T>
Spread kernel_distance(const Tensor<T>& x, const Tensor<T>& y, const KernelDistanceOptions& options = {});

}  // namespace daguerre::metrics

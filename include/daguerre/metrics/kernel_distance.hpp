#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "daguerre/core/parallel.hpp"
#include "daguerre/core/tensor.hpp"
#include "daguerre/metrics/spread.hpp"

namespace daguerre::metrics {

/// k(x, y) = (gamma x.y + coefficient)^degree.
struct PolynomialKernel {
  int degree = 3;
  std::optional<double> gamma{};  ///< 1 / D when not set
  double coefficient = 1.0;
};

/// k(x, y) = exp(-|x - y|^2 / (2 sigma^2)), also called rbf.
struct GaussianKernel {
  double sigma = 10.0;
};

/// Which pairs of samples a squared maximum mean discrepancy is the mean over (Gretton et al., 2012).
enum class MmdEstimator {
  /// Equation 3: sum_{i != j} k(x_i, x_j) / (M (M - 1)) + sum_{i != j} k(y_i, y_j) / (N (N - 1))
  /// - 2 mean k(x_i, y_j). Below zero when the samples agree better than chance.
  unbiased,
  /// Equation 5: all pairs, a sample's with itself among them. Never negative.
  biased,
  /// Equation 4: as `unbiased`, and the pairs (x_i, y_i) are left out, too, so that M must be N.
  u_statistic,
};

/// The squared maximum mean discrepancy between two samples, [M, D] and [N, D]. T is float or double; sums
/// are in double, and do not depend on the number of threads. Throws ArgumentError for other shapes, fewer
/// than two samples, a degree below 1, a sigma that is not positive and finite, and numbers of samples that
/// the estimator does not take; NumericError for NaN or infinity in a feature or in the result.
template <class T>
double polynomial_mmd2(const Tensor<T>& x, const Tensor<T>& y, const PolynomialKernel& kernel = {},
                       MmdEstimator estimator = MmdEstimator::unbiased, const Threads& threads = {});
template <class T>
double gaussian_mmd2(const Tensor<T>& x, const Tensor<T>& y, const GaussianKernel& kernel = {},
                     MmdEstimator estimator = MmdEstimator::unbiased, const Threads& threads = {});

struct KernelDistanceOptions {
  Index subsets = 100;
  Index subset_size = 1000;
  std::uint32_t seed = 2020;
  PolynomialKernel kernel{};
  MmdEstimator estimator = MmdEstimator::unbiased;
  Threads threads{};
};

/// Which rows of x are compared with which rows of y.
struct RowSubsets {
  std::vector<Index> x, y;
};

/// `options.subsets` times `options.subset_size` rows of x and as many of y, drawn without replacement from x
/// and then from y by numpy.random.RandomState(seed).choice, as torch-fidelity does. Throws ArgumentError
/// when there are no subsets, or they are smaller than 2 or larger than a sample.
std::vector<RowSubsets> draw_subsets(Index x_rows, Index y_rows, const KernelDistanceOptions& options);

/// Kernel Inception Distance (Bińkowski et al., arXiv:1801.01401, section 4): `polynomial_mmd2` between
/// random subsets. Throws what `polynomial_mmd2` and `draw_subsets` throw.
template <class T>
Spread kernel_distance(const Tensor<T>& x, const Tensor<T>& y, const KernelDistanceOptions& options = {});
/// The same between given subsets; of the options only kernel, estimator and threads count. Throws
/// ArgumentError for no subsets and for rows that are not there.
template <class T>
Spread kernel_distance(const Tensor<T>& x, const Tensor<T>& y, std::span<const RowSubsets> subsets,
                       const KernelDistanceOptions& options = {});

}  // namespace daguerre::metrics

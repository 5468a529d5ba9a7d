#include "daguerre/metrics/kernel_distance.hpp"

#include <algorithm>
#include <utility>

#include "daguerre/core/eigen.hpp"
#include "metrics/checks.hpp"
#include "metrics/permutation.hpp"

namespace daguerre::metrics {
namespace {

constexpr const char* kernel_distance_name = "kernel_distance";

template <class T>
void check(const Tensor<T>& x, const Tensor<T>& y, const PolynomialKernel& kernel) {
  require_rows(kernel_distance_name, "features", x, 2);
  require_rows(kernel_distance_name, "features", y, 2);
  if (x.dim(1) != y.dim(1))
    throw ArgumentError(kernel_distance_name, "features of " + std::to_string(x.dim(1)) + " and " +
                                                  std::to_string(y.dim(1)) + " dimensions");
  if (kernel.degree < 1)
    throw ArgumentError(kernel_distance_name, "a kernel of degree " + std::to_string(kernel.degree));
}

/// The sum of k(x_i, y_j) over all pairs, or over those with i != j.
double kernel_sum(const Tensor<double>& x, const Tensor<double>& y, const PolynomialKernel& kernel,
                  bool skip_diagonal) {
  const double gamma = kernel.gamma.value_or(1.0 / static_cast<double>(x.dim(1)));
  constexpr Index piece = 256;  // the matrix of all pairs may be too large to hold
  double sum = 0.0;
  for (Index begin = 0; begin < x.dim(0); begin += piece) {
    const auto rows = x.slice(begin, std::min(begin + piece, x.dim(0)));
    const Eigen::ArrayXXd base = (matrix(rows) * matrix(y).transpose()).array() * gamma + kernel.coefficient;
    Eigen::ArrayXXd power = base;
    for (int i = 1; i < kernel.degree; ++i) power *= base;
    if (skip_diagonal) power.matrix().diagonal(begin).setZero();
    sum += power.sum();
  }
  return sum;
}

double mmd2(const Tensor<double>& x, const Tensor<double>& y, const PolynomialKernel& kernel) {
  const auto m = static_cast<double>(x.dim(0)), n = static_cast<double>(y.dim(0));
  return finite(kernel_distance_name, kernel_sum(x, x, kernel, true) / (m * (m - 1)) +
                                          kernel_sum(y, y, kernel, true) / (n * (n - 1)) -
                                          2.0 * kernel_sum(x, y, kernel, false) / (m * n));
}

}  // namespace

template <class T>
double polynomial_mmd2(const Tensor<T>& x, const Tensor<T>& y, const PolynomialKernel& kernel) {
  check(x, y, kernel);
  return mmd2(x.template to<double>(), y.template to<double>(), kernel);
}

template <class T>
Spread kernel_distance(const Tensor<T>& x, const Tensor<T>& y, const KernelDistanceOptions& options) {
  check(x, y, options.kernel);
  if (options.subsets < 1 || options.subset_size < 2 || options.subset_size > std::min(x.dim(0), y.dim(0)))
    throw ArgumentError(kernel_distance_name, std::to_string(options.subsets) + " subsets of " +
                                                  std::to_string(options.subset_size) + " from " +
                                                  std::to_string(x.dim(0)) + " and " +
                                                  std::to_string(y.dim(0)) + " samples");
  std::mt19937 generator(options.seed);
  const auto subset = [&](const Tensor<T>& features) {
    const auto order = numpy_permutation(generator, features.dim(0));
    const std::span<const Index> chosen(order.data(), static_cast<std::size_t>(options.subset_size));
    return pick_rows(features, chosen).template to<double>();
  };
  std::vector<double> values;
  for (Index i = 0; i < options.subsets; ++i) {
    const auto from_x = subset(x);  // the draws are in this order
    const auto from_y = subset(y);
    values.push_back(mmd2(from_x, from_y, options.kernel));
  }
  return spread_of(std::move(values));
}

template double polynomial_mmd2(const Tensor<float>&, const Tensor<float>&, const PolynomialKernel&);
template double polynomial_mmd2(const Tensor<double>&, const Tensor<double>&, const PolynomialKernel&);
template Spread kernel_distance(const Tensor<float>&, const Tensor<float>&, const KernelDistanceOptions&);
template Spread kernel_distance(const Tensor<double>&, const Tensor<double>&, const KernelDistanceOptions&);

}  // namespace daguerre::metrics

#include "daguerre/metrics/kernel_distance.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "metrics/checks.hpp"
#include "metrics/kernel_sums.hpp"
#include "metrics/permutation.hpp"

namespace daguerre::metrics {
namespace {

constexpr const char* kernel_distance_name = "kernel_distance";

template <class T>
void check_features(const Tensor<T>& x, const Tensor<T>& y, MmdEstimator estimator) {
  require_rows(kernel_distance_name, "features", x, 2);
  require_rows(kernel_distance_name, "features", y, 2);
  require_one_width(kernel_distance_name, x, y);
  if (estimator == MmdEstimator::u_statistic && x.dim(0) != y.dim(0))
    throw ArgumentError(kernel_distance_name,
                        std::to_string(x.dim(0)) + " and " + std::to_string(y.dim(0)) +
                            " samples; the u-statistic takes as many of the one as of the other");
}

void check_kernel(const PolynomialKernel& kernel) {
  if (kernel.degree < 1)
    throw ArgumentError(kernel_distance_name, "a kernel of degree " + std::to_string(kernel.degree));
}

template <class Kernel>
double mmd2(const Tensor<double>& x, const Tensor<double>& y, const Kernel& kernel, MmdEstimator estimator,
            const Threads& threads) {
  const bool is_biased = estimator == MmdEstimator::biased;
  const bool skips_partners = estimator == MmdEstimator::u_statistic;
  const auto pairs = [](Index rows, Index columns, bool skips) {
    return static_cast<double>(rows) * static_cast<double>(skips ? columns - 1 : columns);
  };
  const Index m = x.dim(0), n = y.dim(0);
  return finite(kernel_distance_name,
                kernel_sum(x, x, kernel, !is_biased, threads) / pairs(m, m, !is_biased) +
                    kernel_sum(y, y, kernel, !is_biased, threads) / pairs(n, n, !is_biased) -
                    2.0 * kernel_sum(x, y, kernel, skips_partners, threads) / pairs(m, n, skips_partners));
}

}  // namespace

template <class T>
double polynomial_mmd2(const Tensor<T>& x, const Tensor<T>& y, const PolynomialKernel& kernel,
                       MmdEstimator estimator, const Threads& threads) {
  check_features(x, y, estimator);
  check_kernel(kernel);
  return mmd2(x.template to<double>(), y.template to<double>(), PolynomialPairs(kernel, x.dim(1)), estimator,
              threads);
}

template <class T>
double gaussian_mmd2(const Tensor<T>& x, const Tensor<T>& y, const GaussianKernel& kernel,
                     MmdEstimator estimator, const Threads& threads) {
  check_features(x, y, estimator);
  if (!(kernel.sigma > 0.0) || !std::isfinite(kernel.sigma))
    throw ArgumentError(kernel_distance_name,
                        "sigma " + std::to_string(kernel.sigma) + ", expected one above 0");
  return mmd2(x.template to<double>(), y.template to<double>(), GaussianPairs(kernel), estimator, threads);
}

std::vector<RowSubsets> draw_subsets(Index x_rows, Index y_rows, const KernelDistanceOptions& options) {
  if (options.subsets < 1 || options.subset_size < 2 || options.subset_size > std::min(x_rows, y_rows))
    throw ArgumentError(kernel_distance_name, std::to_string(options.subsets) + " subsets of " +
                                                  std::to_string(options.subset_size) + " from " +
                                                  std::to_string(x_rows) + " and " + std::to_string(y_rows) +
                                                  " samples");
  std::mt19937 generator(options.seed);
  const auto subset = [&](Index rows) {
    auto order = numpy_permutation(generator, rows);
    order.resize(static_cast<std::size_t>(options.subset_size));
    return order;
  };
  std::vector<RowSubsets> result;
  for (Index i = 0; i < options.subsets; ++i) {
    RowSubsets drawn;
    drawn.x = subset(x_rows);  // the draws are in this order
    drawn.y = subset(y_rows);
    result.push_back(std::move(drawn));
  }
  return result;
}

template <class T>
Spread kernel_distance(const Tensor<T>& x, const Tensor<T>& y, const KernelDistanceOptions& options) {
  check_features(x, y, MmdEstimator::unbiased);
  return kernel_distance(x, y, draw_subsets(x.dim(0), y.dim(0), options), options);
}

template <class T>
Spread kernel_distance(const Tensor<T>& x, const Tensor<T>& y, std::span<const RowSubsets> subsets,
                       const KernelDistanceOptions& options) {
  check_features(x, y, MmdEstimator::unbiased);
  check_kernel(options.kernel);
  if (subsets.empty()) throw ArgumentError(kernel_distance_name, "0 subsets");
  const auto chosen = [](const Tensor<T>& features, const std::vector<Index>& rows) {
    for (const Index row : rows)
      if (row < 0 || row >= features.dim(0))
        throw ArgumentError(kernel_distance_name, "a subset names row " + std::to_string(row) + " of " +
                                                      std::to_string(features.dim(0)));
    return pick_rows(features, rows).template to<double>();
  };
  const PolynomialPairs kernel(options.kernel, x.dim(1));
  std::vector<double> values;
  for (const auto& subset : subsets) {
    const auto from_x = chosen(x, subset.x), from_y = chosen(y, subset.y);
    check_features(from_x, from_y, options.estimator);
    values.push_back(mmd2(from_x, from_y, kernel, options.estimator, options.threads));
  }
  return spread_of(std::move(values));
}

template double polynomial_mmd2(const Tensor<float>&, const Tensor<float>&, const PolynomialKernel&,
                                MmdEstimator, const Threads&);
template double polynomial_mmd2(const Tensor<double>&, const Tensor<double>&, const PolynomialKernel&,
                                MmdEstimator, const Threads&);
template double gaussian_mmd2(const Tensor<float>&, const Tensor<float>&, const GaussianKernel&, MmdEstimator,
                              const Threads&);
template double gaussian_mmd2(const Tensor<double>&, const Tensor<double>&, const GaussianKernel&,
                              MmdEstimator, const Threads&);
template Spread kernel_distance(const Tensor<float>&, const Tensor<float>&, const KernelDistanceOptions&);
template Spread kernel_distance(const Tensor<double>&, const Tensor<double>&, const KernelDistanceOptions&);
template Spread kernel_distance(const Tensor<float>&, const Tensor<float>&, std::span<const RowSubsets>,
                                const KernelDistanceOptions&);
template Spread kernel_distance(const Tensor<double>&, const Tensor<double>&, std::span<const RowSubsets>,
                                const KernelDistanceOptions&);

}  // namespace daguerre::metrics

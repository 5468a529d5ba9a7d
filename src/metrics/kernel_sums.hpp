#pragma once

#include <algorithm>
#include <vector>

#include "daguerre/core/eigen.hpp"
#include "daguerre/core/parallel.hpp"
#include "daguerre/metrics/kernel_distance.hpp"
#include "metrics/one_thread.hpp"

namespace daguerre::metrics {

/// Kernels of whole blocks of pairs. `products[M, N]` are x.y of x's rows from `x_begin` on and y's from
/// `y_begin` on; k(x, y) takes their place.
using PairBlock = Eigen::Array<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
/// |row|^2 of each row.
using SquaredNorms = Eigen::Array<double, Eigen::Dynamic, 1>;

inline SquaredNorms squared_norms(const Tensor<double>& rows) {
  return matrix(rows).rowwise().squaredNorm().array();
}

class PolynomialPairs {
 public:
  PolynomialPairs(const PolynomialKernel& kernel, Index dimension)
      : degree_(kernel.degree),
        gamma_(kernel.gamma.value_or(1.0 / static_cast<double>(dimension))),
        coefficient_(kernel.coefficient) {}
  static constexpr bool needs_norms = false;
  template <class Norms>
  void apply(PairBlock& products, const Norms&, const Norms&) const {
    const PairBlock base = products * gamma_ + coefficient_;
    products = base;
    for (int i = 1; i < degree_; ++i) products *= base;
  }

 private:
  int degree_;
  double gamma_, coefficient_;
};

class GaussianPairs {
 public:
  explicit GaussianPairs(const GaussianKernel& kernel) : gamma_(1.0 / (2.0 * kernel.sigma * kernel.sigma)) {}
  static constexpr bool needs_norms = true;
  template <class Norms>
  void apply(PairBlock& products, const Norms& x, const Norms& y) const {
    products = -2.0 * products;
    products.colwise() += x;
    products.rowwise() += y.transpose();
    products = (-gamma_ * products.max(0.0)).exp();  // below 0 by rounding alone
  }

 private:
  double gamma_;
};

/// The sum of k(x_i, y_j) over all pairs, or over those with i != j. Blocks are added up in one order
/// whatever the threads do; where x and y are one tensor, pairs are computed once.
template <class Kernel>
double kernel_sum(const Tensor<double>& x, const Tensor<double>& y, const Kernel& kernel, bool skip_diagonal,
                  const Threads& threads) {
  constexpr Index piece = 256;  // the matrix of all pairs may be too large to hold
  const Index m = x.dim(0), n = y.dim(0), rows_of_blocks = (m + piece - 1) / piece;
  const bool is_symmetric = std::as_const(x).data() == std::as_const(y).data() && m == n;
  SquaredNorms x_norms = SquaredNorms::Zero(m), y_norms = SquaredNorms::Zero(n);
  if (Kernel::needs_norms) x_norms = squared_norms(x), y_norms = squared_norms(y);
  std::vector<double> sums(static_cast<std::size_t>(rows_of_blocks));
  parallel_for(threads, rows_of_blocks, 1, [&](Index first, Index last) {
    const OneThread alone;
    for (Index block = first; block < last; ++block) {
      const Index begin = block * piece, height = std::min(piece, m - begin);
      double sum = 0.0;
      for (Index from = is_symmetric ? begin : 0; from < n; from += piece) {
        const Index width = std::min(piece, n - from);
        PairBlock pairs =
            (matrix(x).middleRows(begin, height) * matrix(y).middleRows(from, width).transpose()).array();
        kernel.apply(pairs, x_norms.segment(begin, height).eval(), y_norms.segment(from, width).eval());
        if (skip_diagonal && from == begin) pairs.matrix().diagonal().setZero();
        sum += is_symmetric && from != begin ? 2.0 * pairs.sum() : pairs.sum();
      }
      sums[static_cast<std::size_t>(block)] = sum;
    }
  });
  double sum = 0.0;
  for (const double part : sums) sum += part;
  return sum;
}

}  // namespace daguerre::metrics

#pragma once

#include <vector>

#include "daguerre/core/tensor.hpp"

namespace daguerre::metrics {

/// A normal distribution of feature vectors.
struct Gaussian {
  Tensor<double> mean;        ///< [D]
  Tensor<double> covariance;  ///< [D, D], symmetric, positive semidefinite
};

/// Mean and covariance of feature vectors that arrive in batches, in double. Only D + D^2 numbers are kept,
/// and statistics gathered apart can be merged. Each batch is centred on its own mean before it is squared
/// and joined by the update of Chan, Golub and LeVeque (1979),
///
///   S = S_a + S_b + d d^T n_a n_b / (n_a + n_b),  d = mean_b - mean_a,  S = sum (x - mean)(x - mean)^T,
///
/// so features far from zero lose no digits. A value: copies are independent.
class FeatureStatistics {
 public:
  /// No samples yet, of D = `dimension` features each. Throws ArgumentError when it is below 1.
  explicit FeatureStatistics(Index dimension);
  /// The statistics of `features`, [N, D]; T is float or double.
  template <class T>
  static FeatureStatistics of(const Tensor<T>& features);

  /// Adds N samples, [N, D]. Throws ArgumentError for another shape, NumericError naming sample and feature
  /// when one is NaN or infinite; nothing is added then.
  template <class T>
  void add(const Tensor<T>& features);
  /// Adds the samples of `other`. Throws ArgumentError when the dimensions differ.
  void merge(const FeatureStatistics& other);
  /// Takes samples away that were added before: the inverse of `merge`, up to rounding. Throws ArgumentError
  /// when the dimensions differ or `part` has more samples than there are.
  void remove(const FeatureStatistics& part);

  Index dimension() const noexcept { return static_cast<Index>(mean_.size()); }
  Index count() const noexcept { return count_; }
  /// Mean and unbiased covariance, S / (N - 1), as numpy.cov. Throws ArgumentError below two samples.
  Gaussian gaussian() const;

 private:
  void shift_and_scale(const FeatureStatistics& other, double sign, Index count);

  Index count_ = 0;
  std::vector<double> mean_;
  std::vector<double> scatter_;  ///< S, row-major
};

/// Mean and covariance of `features`, [N, D], as torch-fidelity keeps them: the mean rounded at each step as
/// numpy.mean adds up float32 rows, which is the coarser the more there are; the covariance in double, of the
/// mean in double (numpy.cov). Throws what FeatureStatistics throws.
Gaussian torch_fidelity_gaussian(const Tensor<float>& features);

}  // namespace daguerre::metrics

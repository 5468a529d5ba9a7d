#pragma once

#include <cstdint>
#include <memory>

#include "daguerre/metrics/feature_statistics.hpp"

namespace daguerre::metrics {

/// The squared Fréchet (2-Wasserstein) distance between two normal distributions (Dowson and Landau, 1982;
/// "FID" when the features are those of the Inception network, Heusel et al., arXiv:1706.08500, equation 6):
///
///   |mean_a - mean_b|^2 + tr(C_a) + tr(C_b) - 2 tr (C_a C_b)^(1/2).
///
/// The last trace is the sum of the singular values of A^T B, where C_a = A A^T and C_b = B B^T. So no root
/// of a small, rounded eigenvalue is taken, and singular covariances (fewer samples than features) need no
/// offset; pytorch-fid's sqrtm is wrong by about 1e-8 of the traces there. Never negative.
///
/// Throws ArgumentError when the dimensions differ, a matrix is not [D, D], or is not symmetric or not
/// positive semidefinite beyond 1e-3 of its largest element or eigenvalue; NumericError for NaN or infinity.
double frechet_distance(const Gaussian& a, const Gaussian& b);
/// The same between the samples' distributions. Throws ArgumentError below two samples, too.
double frechet_distance(const FeatureStatistics& a, const FeatureStatistics& b);

/// The same distance as torch-fidelity computes it, for comparison with its figures: the trace as the sum of
/// the real parts of the roots of C_a C_b's eigenvalues; the difference of the means, and its square, rounded
/// to float32. From `frechet_distance` that is 1e-7 of the means' part away, and where covariances are
/// (nearly) singular 1e-8 of the traces; it may be below zero. The eigenvalues of a matrix that is not
/// symmetric take many times as long. Throws as `frechet_distance`; covariances are not looked at further.
double torch_fidelity_frechet_distance(const Gaussian& a, const Gaussian& b);

struct JackknifeOptions {
  Index groups = 50;       ///< the samples are dealt to so many groups; at least 10
  std::uint32_t seed = 0;  ///< of the dealing
};

/// A Fréchet distance and how far samples determine it.
struct FrechetEstimate {
  double value = 0.0;           ///< the distance itself, as `frechet_distance` gives it
  double standard_error = 0.0;  ///< of `value`
  double low = 0.0;             ///< 95 % interval around `value`, cut off at 0
  double high = 0.0;
  double bias_corrected = 0.0;  ///< `value` without its bias of order 1 / N; may be below 0
};

/// The distance of samples, [N, D], from a reference that is taken as exact, with a 95 % confidence interval
/// by the delete-group jackknife: with the distance d_g of the samples without group g, mean m over G groups,
///
///   standard error^2 = (G - 1) / G sum (d_g - m)^2,  interval = value -+ t_{0.975, G - 1} standard error,
///   bias corrected = G value - (G - 1) m.
///
/// The interval is of what N samples give on average. That is above the true distance by a term of order
/// 1 / N (Chong and Forsyth, arXiv:1911.07023), so compare values of equal N, or `bias_corrected` ones. A
/// bootstrap is not offered: samples drawn twice add the same bias again. The same seed gives the same
/// result. Takes G + 1 times the work of `frechet_distance`.
///
/// Throws what `frechet_distance` throws; ArgumentError when there are fewer than 10 groups, or fewer samples
/// than groups.
template <class T>
FrechetEstimate estimate_frechet_distance(const Tensor<T>& samples, const Gaussian& reference,
                                          const JackknifeOptions& options = {});

/// The same interval for many samples of many features, at about twice the work of one distance and without
/// holding the samples: by the infinitesimal jackknife, that is by how much each sample counts,
///
///   phi(x) = 2 (mean - mean_r) . (x - mean) + (x - mean)^T (I - M) (x - mean),  M C M = C_r,
///   standard error^2 = sum (phi(x_i) - mean phi)^2 / (N (N - 1)),
///
/// the derivative of the distance by the distribution; M is the optimal transport's map from the samples'
/// normal distribution, [mean, C], to the reference. Where there are fewer samples than features it is what
/// it is on the samples' own span. Samples are added in batches, all of those that `samples` was made of.
class FrechetInfluence {
 public:
  /// Throws what `frechet_distance` throws.
  FrechetInfluence(const Gaussian& samples, const Gaussian& reference);
  ~FrechetInfluence();
  FrechetInfluence(FrechetInfluence&&) noexcept;
  FrechetInfluence& operator=(FrechetInfluence&&) noexcept;

  /// N more samples, [N, D]. Throws ArgumentError for another shape.
  void add(const Tensor<float>& samples);
  /// The distance itself.
  double value() const noexcept;
  /// Throws ArgumentError below two samples.
  double standard_error() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace daguerre::metrics

#include "daguerre/metrics/frechet_distance.hpp"

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>
#include <utility>

#include <Eigen/Eigenvalues>
#include <Eigen/SVD>

#include "daguerre/core/eigen.hpp"
#include "daguerre/metrics/mean_interval.hpp"
#include "daguerre/metrics/spread.hpp"
#include "metrics/checks.hpp"
#include "metrics/one_thread.hpp"
#include "metrics/permutation.hpp"

namespace daguerre::metrics {
namespace {

constexpr const char* frechet_name = "frechet_distance";
/// How far, relative to its size, a covariance may be from a symmetric positive semidefinite matrix.
constexpr double tolerance = 1e-3;

/// A distribution with its covariance as a product, covariance = factor factor^T.
struct Factored {
  Eigen::VectorXd mean;
  Eigen::MatrixXd factor;  ///< [D, rank]
  double trace = 0.0;
};

/// Throws unless there are a mean [D] and a covariance [D, D] of numbers.
void check_gaussian(const Gaussian& gaussian) {
  const Index d = gaussian.mean.size();
  if (d < 1 || gaussian.mean.rank() != 1 || !(gaussian.covariance.shape() == Shape{d, d}))
    throw ArgumentError(frechet_name, "expected a mean [D] and a covariance [D, D], found " +
                                          to_string(gaussian.mean.shape()) + " and " +
                                          to_string(gaussian.covariance.shape()));
  require_finite(frechet_name, "mean", gaussian.mean.reshape({1, d}));
  require_finite(frechet_name, "covariance", gaussian.covariance);
}

void check_dimensions(Index a, Index b) {
  if (a != b)
    throw ArgumentError(frechet_name,
                        "features of " + std::to_string(a) + " and " + std::to_string(b) + " dimensions");
}

Factored factored(const Gaussian& gaussian) {
  const OneThread alone;  // here and below: digits must not depend on how a product is shared out
  check_gaussian(gaussian);
  const Index d = gaussian.mean.size();
  const auto covariance = matrix(gaussian.covariance);
  if ((covariance - covariance.transpose()).cwiseAbs().maxCoeff() >
      tolerance * covariance.cwiseAbs().maxCoeff())
    throw ArgumentError(frechet_name, "a covariance is not symmetric");
  const Eigen::MatrixXd symmetric = 0.5 * (covariance + covariance.transpose());
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(symmetric);
  if (solver.info() != Eigen::Success)
    throw NumericError(frechet_name, "eigenvalues of a covariance do not converge");

  const Eigen::VectorXd& values = solver.eigenvalues();  // ascending
  const double largest = std::max(values[d - 1], 0.0);
  if (values[0] < -tolerance * largest || values[d - 1] < 0.0)
    throw ArgumentError(frechet_name, "a covariance is not positive semidefinite: eigenvalues from " +
                                          std::to_string(values[0]) + " to " + std::to_string(values[d - 1]));
  // Eigenvalues that rounding alone can have made are zeros; their roots would be 1e-8 times the largest.
  const double noise = static_cast<double>(d) * std::numeric_limits<double>::epsilon() * largest;
  const Index rank = (values.array() > noise).count();
  return {array(gaussian.mean).matrix(),
          solver.eigenvectors().rightCols(rank) * values.tail(rank).cwiseSqrt().asDiagonal(),
          symmetric.trace()};
}

double distance(const Factored& a, const Factored& b) {
  const OneThread alone;
  check_dimensions(a.mean.size(), b.mean.size());
  double root_trace = 0.0;
  if (a.factor.cols() > 0 && b.factor.cols() > 0) {
    const Eigen::MatrixXd product = a.factor.transpose() * b.factor;
    root_trace = Eigen::BDCSVD<Eigen::MatrixXd>(product).singularValues().sum();
  }
  return std::max(
      0.0, finite(frechet_name, (a.mean - b.mean).squaredNorm() + a.trace + b.trace - 2.0 * root_trace));
}

}  // namespace

double frechet_distance(const Gaussian& a, const Gaussian& b) {
  return distance(factored(a), factored(b));
}

double frechet_distance(const FeatureStatistics& a, const FeatureStatistics& b) {
  return frechet_distance(a.gaussian(), b.gaussian());
}

double torch_fidelity_frechet_distance(const Gaussian& a, const Gaussian& b) {
  const OneThread alone;
  check_gaussian(a);
  check_gaussian(b);
  check_dimensions(a.mean.size(), b.mean.size());
  double means = 0.0;
  for (Index i = 0; i < a.mean.size(); ++i) {
    const auto difference =
        static_cast<double>(static_cast<float>(a.mean.data()[i]) - static_cast<float>(b.mean.data()[i]));
    means += difference * difference;
  }
  const Eigen::MatrixXd product = matrix(a.covariance) * matrix(b.covariance);
  const Eigen::EigenSolver<Eigen::MatrixXd> solver(product, false);
  if (solver.info() != Eigen::Success)
    throw NumericError(frechet_name, "eigenvalues of the covariances' product do not converge");
  double root_trace = 0.0;
  for (const auto& value : solver.eigenvalues()) root_trace += std::sqrt(value).real();
  return finite(frechet_name, static_cast<double>(static_cast<float>(means)) + matrix(a.covariance).trace() +
                                  matrix(b.covariance).trace() - 2.0 * root_trace);
}

template <class T>
FrechetEstimate estimate_frechet_distance(const Tensor<T>& samples, const Gaussian& reference,
                                          const JackknifeOptions& options) {
  constexpr Index fewest_groups = 10;
  require_rows(frechet_name, "samples", samples);
  const Index count = samples.dim(0);
  if (options.groups < fewest_groups || options.groups > count)
    throw ArgumentError(frechet_name, std::to_string(options.groups) + " groups of " + std::to_string(count) +
                                          " samples; between " + std::to_string(fewest_groups) +
                                          " and the number of samples can be made");
  const auto target = factored(reference);
  const auto whole = FeatureStatistics::of(samples);
  std::mt19937 generator(options.seed);
  const auto order = numpy_permutation(generator, count);

  std::vector<double> without_group;
  for (Index g = 0; g < options.groups; ++g) {
    const auto begin = order.begin() + part_begin(g, options.groups, count);
    const auto end = order.begin() + part_begin(g + 1, options.groups, count);
    auto rest = whole;
    rest.remove(FeatureStatistics::of(pick_rows(samples, std::span<const Index>(begin, end))));
    without_group.push_back(distance(factored(rest.gaussian()), target));
  }
  const auto spread = spread_of(std::move(without_group));

  const auto groups = static_cast<double>(options.groups);
  FrechetEstimate result;
  result.value = distance(factored(whole.gaussian()), target);
  result.standard_error = std::sqrt(groups - 1) * spread.standard_deviation;
  const double half_width = student_t_975(options.groups - 1) * result.standard_error;
  result.low = std::max(0.0, result.value - half_width);
  result.high = result.value + half_width;
  result.bias_corrected = groups * result.value - (groups - 1) * spread.mean;
  return result;
}

template FrechetEstimate estimate_frechet_distance(const Tensor<float>&, const Gaussian&,
                                                   const JackknifeOptions&);
template FrechetEstimate estimate_frechet_distance(const Tensor<double>&, const Gaussian&,
                                                   const JackknifeOptions&);

struct FrechetInfluence::State {
  Eigen::VectorXd mean, difference;
  Eigen::MatrixXd root;  ///< [rank, D]: M on the samples' span is root^T root
  double value = 0.0;
  Index count = 0;
  double mean_influence = 0.0, squares = 0.0;  ///< squares: of the distances from the mean
};

FrechetInfluence::FrechetInfluence(const Gaussian& samples, const Gaussian& reference)
    : state_(std::make_unique<State>()) {
  const OneThread alone;
  const auto a = factored(samples), b = factored(reference);
  if (a.mean.size() != b.mean.size())
    throw ArgumentError(frechet_name, "samples of " + std::to_string(a.mean.size()) +
                                          " dimensions, a reference of " + std::to_string(b.mean.size()));
  auto& state = *state_;
  state.mean = a.mean;
  state.difference = a.mean - b.mean;
  double root_trace = 0.0;
  state.root = Eigen::MatrixXd::Zero(0, a.mean.size());
  if (a.factor.cols() > 0 && b.factor.cols() > 0) {
    const Eigen::MatrixXd product = a.factor.transpose() * b.factor;
    const Eigen::BDCSVD<Eigen::MatrixXd> svd(product, Eigen::ComputeThinU);
    root_trace = svd.singularValues().sum();
    // M = (F^+)^T U S U^T F^+ for C = F F^T; the columns of F are orthogonal.
    const Eigen::VectorXd inverse_norms = a.factor.colwise().squaredNorm().cwiseInverse().transpose();
    const Eigen::MatrixXd scaled_left = svd.singularValues().cwiseSqrt().asDiagonal() *
                                        svd.matrixU().transpose() * inverse_norms.asDiagonal();
    state.root = scaled_left * a.factor.transpose();
  }
  state.value = std::max(
      0.0, finite(frechet_name, state.difference.squaredNorm() + a.trace + b.trace - 2.0 * root_trace));
}

FrechetInfluence::~FrechetInfluence() = default;
FrechetInfluence::FrechetInfluence(FrechetInfluence&&) noexcept = default;
FrechetInfluence& FrechetInfluence::operator=(FrechetInfluence&&) noexcept = default;

void FrechetInfluence::add(const Tensor<float>& samples) {
  const OneThread alone;
  auto& state = *state_;
  require_rows(frechet_name, "samples", samples);
  if (samples.dim(1) != state.mean.size())
    throw ArgumentError(frechet_name, "samples of " + std::to_string(samples.dim(1)) +
                                          " dimensions, expected " + std::to_string(state.mean.size()));
  const Eigen::MatrixXd centred =
      matrix(samples).cast<double>().transpose().colwise() - state.mean;  // a column each
  const Eigen::MatrixXd mapped = state.root * centred;
  for (Index i = 0; i < centred.cols(); ++i) {
    const double influence = 2.0 * state.difference.dot(centred.col(i)) + centred.col(i).squaredNorm() -
                             mapped.col(i).squaredNorm();
    const double step = influence - state.mean_influence;
    state.mean_influence += step / static_cast<double>(++state.count);
    state.squares += step * (influence - state.mean_influence);
  }
}

double FrechetInfluence::value() const noexcept {
  return state_->value;
}

double FrechetInfluence::standard_error() const {
  const auto count = static_cast<double>(state_->count);
  if (state_->count < 2) throw ArgumentError(frechet_name, "an interval of less than two samples");
  return std::sqrt(state_->squares / (count * (count - 1.0)));
}

}  // namespace daguerre::metrics

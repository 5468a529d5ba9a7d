#include "daguerre/metrics/feature_statistics.hpp"

#include <algorithm>

#include "daguerre/core/eigen.hpp"
#include "metrics/checks.hpp"
#include "metrics/one_thread.hpp"

namespace daguerre::metrics {
namespace {

constexpr const char* statistics_name = "FeatureStatistics";

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using VectorMap = Eigen::Map<Eigen::VectorXd>;
using ConstVectorMap = Eigen::Map<const Eigen::VectorXd>;

std::size_t square(Index dimension) {
  return static_cast<std::size_t>(checked_multiply(dimension, dimension));
}

}  // namespace

FeatureStatistics::FeatureStatistics(Index dimension) {
  if (dimension < 1) throw ArgumentError(statistics_name, "dimension " + std::to_string(dimension));
  scatter_.resize(square(dimension));
  mean_.resize(static_cast<std::size_t>(dimension));
}

template <class T>
FeatureStatistics FeatureStatistics::of(const Tensor<T>& features) {
  FeatureStatistics result(features.rank() == 2 ? features.dim(1) : 0);
  result.add(features);
  return result;
}

template <class T>
void FeatureStatistics::add(const Tensor<T>& features) {
  require_rows(statistics_name, "features", features);
  if (features.dim(1) != dimension())
    throw ArgumentError(statistics_name, "features are " + to_string(features.shape()) + ", expected [N, " +
                                             std::to_string(dimension()) + "]");
  const OneThread alone;  // sums must not depend on how a product is shared out
  // In pieces, so that a large batch is not held twice.
  constexpr Index piece = 1024;
  for (Index begin = 0; begin < features.dim(0); begin += piece) {
    const auto rows = features.slice(begin, std::min(begin + piece, features.dim(0)));
    FeatureStatistics batch(dimension());
    batch.count_ = rows.dim(0);
    Matrix x = matrix(rows).template cast<double>();
    VectorMap mean(batch.mean_.data(), dimension());
    mean = x.colwise().mean().transpose();
    x.rowwise() -= mean.transpose();
    Eigen::Map<Matrix>(batch.scatter_.data(), dimension(), dimension()).noalias() = x.transpose() * x;
    merge(batch);
  }
}

/// The update of `merge`; with `sign` -1 that of `remove`. `count` is the number of samples afterwards.
void FeatureStatistics::shift_and_scale(const FeatureStatistics& other, double sign, Index count) {
  const Index d = dimension();
  VectorMap mean(mean_.data(), d);
  const Eigen::VectorXd difference = ConstVectorMap(other.mean_.data(), d) - mean;
  const double before = static_cast<double>(count_), part = static_cast<double>(other.count_);
  const double after = static_cast<double>(count);
  Eigen::Map<Matrix> scatter(scatter_.data(), d, d);
  scatter += sign * Eigen::Map<const Matrix>(other.scatter_.data(), d, d);
  scatter.noalias() += (sign * before * part / after) * difference * difference.transpose();
  mean += (sign * part / after) * difference;
  count_ = count;
}

void FeatureStatistics::merge(const FeatureStatistics& other) {
  if (other.dimension() != dimension())
    throw ArgumentError(statistics_name, "cannot merge statistics of " + std::to_string(other.dimension()) +
                                             " features with those of " + std::to_string(dimension()));
  if (other.count_ > 0) shift_and_scale(other, 1.0, count_ + other.count_);
}

void FeatureStatistics::remove(const FeatureStatistics& part) {
  if (part.dimension() != dimension() || part.count_ > count_)
    throw ArgumentError(statistics_name, "cannot remove " + std::to_string(part.count_) + " samples of " +
                                             std::to_string(part.dimension()) + " features from " +
                                             std::to_string(count_) + " of " + std::to_string(dimension()));
  if (part.count_ == count_)
    *this = FeatureStatistics(dimension());
  else if (part.count_ > 0)
    shift_and_scale(part, -1.0, count_ - part.count_);
}

Gaussian FeatureStatistics::gaussian() const {
  if (count_ < 2)
    throw ArgumentError(statistics_name,
                        "a covariance needs at least 2 samples, there are " + std::to_string(count_));
  Gaussian result{Tensor<double>::copy_of({dimension()}, mean_), Tensor<double>({dimension(), dimension()})};
  std::transform(scatter_.begin(), scatter_.end(), result.covariance.data(),
                 [this](double value) { return value / static_cast<double>(count_ - 1); });
  return result;
}

Gaussian torch_fidelity_gaussian(const Tensor<float>& features) {
  auto result = FeatureStatistics::of(features).gaussian();
  std::vector<float> sums(static_cast<std::size_t>(features.dim(1)));
  for (Index row = 0; row < features.dim(0); ++row)
    for (std::size_t i = 0; i < sums.size(); ++i)
      sums[i] += features.data()[row * features.dim(1) + static_cast<Index>(i)];
  double* const mean = result.mean.data();
  for (std::size_t i = 0; i < sums.size(); ++i)
    mean[i] = static_cast<double>(sums[i] / static_cast<float>(features.dim(0)));
  return result;
}

template FeatureStatistics FeatureStatistics::of(const Tensor<float>&);
template FeatureStatistics FeatureStatistics::of(const Tensor<double>&);
template void FeatureStatistics::add(const Tensor<float>&);
template void FeatureStatistics::add(const Tensor<double>&);

}  // namespace daguerre::metrics

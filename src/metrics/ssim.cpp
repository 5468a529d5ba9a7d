#include "daguerre/metrics/ssim.hpp"

#include <algorithm>
#include <cmath>

#include "daguerre/core/eigen.hpp"
#include "metrics/checks.hpp"

namespace daguerre::metrics {
namespace {

constexpr const char* ssim_name = "ssim";
constexpr Index largest_reach = 4096;

/// The values of one channel, by rows.
using Plane = Eigen::Array<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// The weights along an axis, an odd number of them; their products are those of the window's pixels.
std::vector<double> window_weights(const SsimOptions& options) {
  const auto refuse = [](const std::string& what) { throw ArgumentError(ssim_name, what); };
  if (options.window == SsimWindow::uniform) {
    if (options.size < 3 || options.size % 2 == 0 || options.size > 2 * largest_reach)
      refuse("a window of " + std::to_string(options.size) + " pixels, expected an odd number from 3 on");
    return std::vector<double>(static_cast<std::size_t>(options.size),
                               1.0 / static_cast<double>(options.size));
  }
  const double reach = std::floor(options.truncate * options.sigma + 0.5);
  if (!(options.sigma > 0.0) || !(reach >= 1.0 && reach <= static_cast<double>(largest_reach)))
    refuse("a Gaussian window of sigma " + std::to_string(options.sigma) + " cut off at " +
           std::to_string(options.truncate) + " sigma");
  std::vector<double> weights;
  double sum = 0.0;
  for (double x = -reach; x <= reach; ++x)
    sum += weights.emplace_back(std::exp(-0.5 * x * x / (options.sigma * options.sigma)));
  for (double& weight : weights) weight /= sum;
  return weights;
}

/// d c b a | a b c d | d c b a: no window reaches beyond what is mirrored once.
Index mirrored_place(Index i, Index size) {
  return i < 0 ? -i - 1 : i >= size ? 2 * size - i - 1 : i;
}

Plane window_mean(const Plane& x, const std::vector<double>& weights) {
  const auto reach = static_cast<Index>(weights.size() / 2);
  Plane across = Plane::Zero(x.rows(), x.cols()), result = across;
  for (Index row = 0; row < x.rows(); ++row)
    for (Index k = -reach; k <= reach; ++k)
      result.row(row) +=
          weights[static_cast<std::size_t>(k + reach)] * x.row(mirrored_place(row + k, x.rows()));
  for (Index column = 0; column < x.cols(); ++column)
    for (Index k = -reach; k <= reach; ++k)
      across.col(column) +=
          weights[static_cast<std::size_t>(k + reach)] * result.col(mirrored_place(column + k, x.cols()));
  return across;
}

Plane similarity(const Plane& a, const Plane& b, const std::vector<double>& weights,
                 const SsimOptions& options) {
  const auto pixels = static_cast<double>(weights.size() * weights.size());
  const double factor = options.is_sample ? pixels / (pixels - 1.0) : 1.0;
  const double c1 = (options.k1 * options.range) * (options.k1 * options.range);
  const double c2 = (options.k2 * options.range) * (options.k2 * options.range);
  const Plane a_mean = window_mean(a, weights), b_mean = window_mean(b, weights);
  const Plane a_variance = factor * (window_mean(a * a, weights) - a_mean * a_mean);
  const Plane b_variance = factor * (window_mean(b * b, weights) - b_mean * b_mean);
  const Plane covariance = factor * (window_mean(a * b, weights) - a_mean * b_mean);
  return ((2.0 * a_mean * b_mean + c1) * (2.0 * covariance + c2)) /
         ((a_mean.square() + b_mean.square() + c1) * (a_variance + b_variance + c2));
}

/// Returns the window's weights.
template <class T>
std::vector<double> check_pictures(const Tensor<T>& a, const Tensor<T>& b, const SsimOptions& options) {
  if (!(a.shape() == b.shape()) || a.rank() != 4 || a.empty())
    throw ArgumentError(ssim_name, "pictures are " + to_string(a.shape()) + " and " + to_string(b.shape()) +
                                       ", expected two of one shape [N, H, W, C]");
  if (!(options.range > 0.0) || !std::isfinite(options.range))
    throw ArgumentError(ssim_name, "range " + std::to_string(options.range) + ", expected one above 0");
  auto weights = window_weights(options);
  const auto size = static_cast<Index>(weights.size());
  if (a.dim(1) < size || a.dim(2) < size)
    throw ArgumentError(ssim_name, "pictures of " + std::to_string(a.dim(2)) + " x " +
                                       std::to_string(a.dim(1)) + " are smaller than the window of " +
                                       std::to_string(size) + " x " + std::to_string(size));
  require_finite(ssim_name, "a picture's value", a);
  require_finite(ssim_name, "a picture's value", b);
  return weights;
}

/// Channel c of picture n.
template <class T>
Plane plane_of(const Tensor<T>& pictures, Index n, Index c) {
  const Index height = pictures.dim(1), width = pictures.dim(2), channels = pictures.dim(3);
  Plane result(height, width);
  const T* from = pictures.data() + n * height * width * channels + c;
  for (Index i = 0; i < height * width; ++i) result.data()[i] = static_cast<double>(from[i * channels]);
  return result;
}

}  // namespace

SsimOptions SsimOptions::wang(double range) {
  return {.window = SsimWindow::gaussian, .is_sample = false, .range = range};
}

template <class T>
Tensor<double> ssim_map(const Tensor<T>& a, const Tensor<T>& b, const SsimOptions& options) {
  const auto weights = check_pictures(a, b, options);
  const Index pixels = a.dim(1) * a.dim(2), channels = a.dim(3);
  Tensor<double> result(a.shape());
  double* const out = result.data();
  for (Index n = 0; n < a.dim(0); ++n)
    for (Index c = 0; c < channels; ++c) {
      const Plane plane = similarity(plane_of(a, n, c), plane_of(b, n, c), weights, options);
      for (Index i = 0; i < pixels; ++i) out[(n * pixels + i) * channels + c] = plane.data()[i];
    }
  return result;
}

template <class T>
std::vector<double> ssim(const Tensor<T>& a, const Tensor<T>& b, const SsimOptions& options) {
  const auto weights = check_pictures(a, b, options);
  const auto border = static_cast<Index>(weights.size() / 2);
  std::vector<double> result;
  for (Index n = 0; n < a.dim(0); ++n) {
    double sum = 0.0;
    for (Index c = 0; c < a.dim(3); ++c) {
      const Plane plane = similarity(plane_of(a, n, c), plane_of(b, n, c), weights, options);
      sum += plane.block(border, border, plane.rows() - 2 * border, plane.cols() - 2 * border).mean();
    }
    result.push_back(finite(ssim_name, sum / static_cast<double>(a.dim(3))));
  }
  return result;
}

template Tensor<double> ssim_map(const Tensor<float>&, const Tensor<float>&, const SsimOptions&);
template Tensor<double> ssim_map(const Tensor<double>&, const Tensor<double>&, const SsimOptions&);
template std::vector<double> ssim(const Tensor<float>&, const Tensor<float>&, const SsimOptions&);
template std::vector<double> ssim(const Tensor<double>&, const Tensor<double>&, const SsimOptions&);

}  // namespace daguerre::metrics

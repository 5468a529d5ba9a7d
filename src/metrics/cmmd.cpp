#include "daguerre/metrics/cmmd.hpp"

#include <cmath>

#include "metrics/checks.hpp"
#include "metrics/kernel_sums.hpp"

namespace daguerre::metrics {
namespace {

constexpr const char* cmmd_name = "cmmd";

template <class T>
void check_cmmd(const Tensor<T>& x, const Tensor<T>& y, const CmmdOptions& options) {
  require_rows(cmmd_name, "embeddings", x);
  require_rows(cmmd_name, "embeddings", y);
  require_one_width(cmmd_name, x, y);
  const auto is_positive = [](double value) { return value > 0.0 && std::isfinite(value); };
  if (!is_positive(options.sigma) || !is_positive(options.scale))
    throw ArgumentError(cmmd_name, "sigma " + std::to_string(options.sigma) + " and scale " +
                                       std::to_string(options.scale) + ", expected both above 0");
}

/// The mean of the kernel over all pairs, rounded as often as the reference rounds.
float mean_in_float32(const Tensor<float>& x, const Tensor<float>& y, float gamma) {
  using Row = Eigen::Array<float, Eigen::Dynamic, 1>;
  const Row y_norms = matrix(y).rowwise().squaredNorm().array();
  float total = 0.0f;
  for (Index i = 0; i < x.dim(0); ++i) {
    const Row products = (matrix(y) * matrix(x).row(i).transpose()).array();
    const Row distances = -2.0f * products + matrix(x).row(i).squaredNorm() + y_norms;
    total += (-gamma * distances).exp().mean();
  }
  return total / static_cast<float>(x.dim(0));
}

}  // namespace

template <class T>
double cmmd(const Tensor<T>& x, const Tensor<T>& y, const CmmdOptions& options) {
  check_cmmd(x, y, options);
  const auto from = x.template to<double>(), to = y.template to<double>();
  const GaussianPairs kernel(GaussianKernel{options.sigma});
  const auto mean = [&](const Tensor<double>& a, const Tensor<double>& b) {
    return kernel_sum(a, b, kernel, false, options.threads) /
           (static_cast<double>(a.dim(0)) * static_cast<double>(b.dim(0)));
  };
  return finite(cmmd_name, options.scale * (mean(from, from) + mean(to, to) - 2.0 * mean(from, to)));
}

double cmmd_in_float32(const Tensor<float>& x, const Tensor<float>& y, const CmmdOptions& options) {
  check_cmmd(x, y, options);
  const auto gamma = static_cast<float>(1.0 / (2.0 * options.sigma * options.sigma));
  const auto mean = [&](const Tensor<float>& a, const Tensor<float>& b) {
    return mean_in_float32(a, b, gamma);
  };
  const float result = static_cast<float>(options.scale) * (mean(x, x) + mean(y, y) - 2.0f * mean(x, y));
  return finite(cmmd_name, static_cast<double>(result));
}

template double cmmd(const Tensor<float>&, const Tensor<float>&, const CmmdOptions&);
template double cmmd(const Tensor<double>&, const Tensor<double>&, const CmmdOptions&);

}  // namespace daguerre::metrics

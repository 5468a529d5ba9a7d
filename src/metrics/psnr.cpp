#include "daguerre/metrics/psnr.hpp"

#include <cmath>

#include "metrics/checks.hpp"

namespace daguerre::metrics {
namespace {
constexpr const char* psnr_name = "psnr";
}

template <class T>
std::vector<double> mean_squared_error(const Tensor<T>& a, const Tensor<T>& b) {
  if (!(a.shape() == b.shape()) || a.rank() == 0 || a.empty())
    throw ArgumentError(psnr_name, "pictures are " + to_string(a.shape()) + " and " + to_string(b.shape()) +
                                       ", expected two of one shape [N, ...]");
  const Index each = a.size() / a.dim(0);
  std::vector<double> result;
  for (Index n = 0; n < a.dim(0); ++n) {
    double sum = 0.0;
    for (Index i = n * each; i < (n + 1) * each; ++i) {
      const double difference = static_cast<double>(a.data()[i]) - static_cast<double>(b.data()[i]);
      sum += difference * difference;
    }
    result.push_back(finite(psnr_name, sum / static_cast<double>(each)));
  }
  return result;
}

template <class T>
std::vector<double> psnr(const Tensor<T>& a, const Tensor<T>& b, double range) {
  if (!(range > 0.0) || !std::isfinite(range))
    throw ArgumentError(psnr_name, "range " + std::to_string(range) + ", expected one above 0");
  auto result = mean_squared_error(a, b);
  for (double& value : result) value = 20.0 * std::log10(range) - 10.0 * std::log10(value);
  return result;
}

template std::vector<double> mean_squared_error(const Tensor<float>&, const Tensor<float>&);
template std::vector<double> mean_squared_error(const Tensor<double>&, const Tensor<double>&);
template std::vector<double> psnr(const Tensor<float>&, const Tensor<float>&, double);
template std::vector<double> psnr(const Tensor<double>&, const Tensor<double>&, double);

}  // namespace daguerre::metrics

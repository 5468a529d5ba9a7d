#include "samplers/numerics.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace daguerre::samplers::numerics {

std::vector<float> torch_linspace(double start_value, double end_value, int count) {
  const auto start = static_cast<float>(start_value), end = static_cast<float>(end_value);
  if (count == 1) return {start};
  const float step = (end - start) / static_cast<float>(count - 1);
  const int halfway = count / 2;
  // The vectorised loop takes sixteen elements at a time as two vectors of eight. A vector's first element
  // comes from a fused multiply-add, the others from a rounded product added to it.
  std::vector<float> values;
  values.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count;) {
    const bool vectorised = i + 16 <= count;
    for (int part = 0; part < (vectorised ? 2 : 1); ++part) {
      const int width = vectorised ? 8 : 1;
      const float base = i < halfway ? std::fma(step, static_cast<float>(i), start)
                                     : std::fma(-step, static_cast<float>(count - i - 1), end);
      for (int k = 0; k < width; ++k)
        // The product is exact in double, so that the cast rounds it once and no compiler can fuse it.
        values.push_back(base + static_cast<float>(static_cast<double>(step) * k));
      i += width;
    }
  }
  return values;
}

std::vector<double> numpy_linspace(double start, double end, int count) {
  std::vector<double> values(static_cast<std::size_t>(count), start);
  if (count == 1) return values;
  const double step = (end - start) / (count - 1);
  for (int i = 0; i < count; ++i) values[static_cast<std::size_t>(i)] = i * step + start;
  values.back() = end;
  return values;
}

std::vector<double> numpy_arange(double start, double stop, double step) {
  const auto count = static_cast<int>(std::ceil((stop - start) / step));
  const double delta = (start + step) - start;  // NumPy extrapolates from its first two elements
  std::vector<double> values;
  for (int i = 0; i < count; ++i) values.push_back(start + i * delta);
  return values;
}

float numpy_log(float x) {
  if (!std::isnormal(x)) return std::log(x);
  // log(x) = exponent * ln 2 + y P(y) / Q(y) with y + 1 = mantissa in [sqrt(1/2), sqrt(2)].
  constexpr std::array<float, 6> p{0.0f, 1.0f, 2.112677543f, 1.480000634f, 3.808837741e-1f, 2.589979118e-2f};
  constexpr std::array<float, 6> q{
      1.0f, 2.612677543f, 2.453006072f, 9.864942959e-1f, 1.546476375e-1f, 5.875095403e-3f};
  int exponent = 0;
  float mantissa = 2.0f * std::frexp(x, &exponent);
  --exponent;
  if (mantissa > 1.41421356f) {
    mantissa *= 0.5f;
    ++exponent;
  }
  const float y = mantissa - 1.0f;
  const auto horner = [y](const std::array<float, 6>& coefficients) {
    float value = coefficients[5];
    for (std::size_t k = 5; k-- > 0;) value = std::fma(value, y, coefficients[k]);
    return value;
  };
  return std::fma(static_cast<float>(exponent), 0.693147181f, horner(p) / horner(q));
}

namespace {

/// The regularised incomplete beta function I_x(a, a) for x <= 1/2, by its continued fraction (Lentz's
/// method).
double incomplete_beta_lower(double x, double a) {
  constexpr double tiny = 1e-300;
  double c = 1.0, d = 1.0 - x * 2.0 * a / (a + 1.0);
  d = 1.0 / (std::abs(d) < tiny ? tiny : d);
  double fraction = d;
  for (int m = 1; m < 300; ++m) {
    const double even = m * (a - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
    const double odd = -(a + m) * (2.0 * a + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
    double factor = 1.0;
    for (const double term : {even, odd}) {
      d = 1.0 + term * d;
      c = 1.0 + term / c;
      d = 1.0 / (std::abs(d) < tiny ? tiny : d);
      c = std::abs(c) < tiny ? tiny : c;
      factor = d * c;
      fraction *= factor;
    }
    if (std::abs(factor - 1.0) < 1e-16) break;
  }
  const double log_beta = 2.0 * std::lgamma(a) - std::lgamma(2.0 * a);
  return std::exp(a * std::log(x) + a * std::log1p(-x) - log_beta) * fraction / a;
}

}  // namespace

double symmetric_beta_quantile(double probability, double shape) {
  if (probability <= 0.0) return 0.0;
  if (probability >= 1.0) return 1.0;
  if (probability > 0.5) return 1.0 - symmetric_beta_quantile(1.0 - probability, shape);
  double low = 0.0, high = 0.5;
  for (int i = 0; i < 1100 && low < high; ++i) {
    const double middle = 0.5 * (low + high);
    if (middle == low || middle == high) break;
    (incomplete_beta_lower(middle, shape) < probability ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

}  // namespace daguerre::samplers::numerics

#include "metrics/distributions.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace daguerre::metrics {
namespace {

/// The probability that a variable of Student's t distribution is between -t and t (Abramowitz and Stegun,
/// 26.7.3 and 26.7.4).
double within_t(double t, Index degrees) {
  const double angle = std::atan(t / std::sqrt(static_cast<double>(degrees)));
  const double cosine = std::cos(angle), square = cosine * cosine;
  const bool odd = degrees % 2 != 0;
  double term = odd ? cosine : 1.0, sum = degrees > 1 ? term : 0.0;
  for (Index k = odd ? 3 : 2; k < degrees; k += 2) {
    term *= square * static_cast<double>(k - 1) / static_cast<double>(k);
    sum += term;
  }
  return odd ? 2.0 / std::numbers::pi * (angle + std::sin(angle) * sum) : std::sin(angle) * sum;
}

}  // namespace

double student_t_975(Index degrees) {
  constexpr Index many = 200;
  if (degrees > many) {  // Cornish and Fisher's expansion (26.7.5)
    const auto n = static_cast<double>(degrees);
    const double z = normal_975, z3 = z * z * z, z5 = z3 * z * z, z7 = z5 * z * z;
    return z + (z3 + z) / (4 * n) + (5 * z5 + 16 * z3 + 3 * z) / (96 * n * n) +
           (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * n * n * n);
  }
  double low = 1.9, high = 13.0;
  for (int i = 0; i < 60; ++i) {
    const double middle = 0.5 * (low + high);
    (within_t(middle, degrees) < 0.95 ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

double fair_coin_probability(Index a, Index b) {
  const auto count = static_cast<double>(a + b);
  double tail = 0.0;
  for (Index k = 0; k <= std::min(a, b); ++k) {
    const auto heads = static_cast<double>(k);
    tail += std::exp(std::lgamma(count + 1) - std::lgamma(heads + 1) - std::lgamma(count - heads + 1) -
                     count * std::numbers::ln2);
  }
  return std::min(1.0, 2.0 * tail);
}

}  // namespace daguerre::metrics

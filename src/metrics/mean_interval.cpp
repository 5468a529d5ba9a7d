#include "daguerre/metrics/mean_interval.hpp"

#include <cmath>
#include <string>

#include "daguerre/core/error.hpp"

namespace daguerre::metrics {
namespace {

constexpr const char* interval_name = "mean_interval";

/// The probability of [-t, t] (Abramowitz and Stegun, 26.7.3 and 26.7.4).
double student_t_within(double t, Index degrees) {
  constexpr double pi = 3.14159265358979323846;
  const double angle = std::atan(t / std::sqrt(static_cast<double>(degrees)));
  const double cosine = std::cos(angle), squared = cosine * cosine;
  const bool is_odd = degrees % 2 != 0;
  double term = is_odd ? cosine : 1.0, sum = degrees == 1 ? 0.0 : term;
  for (Index i = is_odd ? 2 : 1; i + 2 < degrees; i += 2) {
    term *= squared * static_cast<double>(i) / static_cast<double>(i + 1);
    sum += term;
  }
  return is_odd ? 2.0 / pi * (angle + std::sin(angle) * sum) : std::sin(angle) * sum;
}

}  // namespace

double student_t_975(Index degrees) {
  if (degrees < 1)
    throw ArgumentError(interval_name, std::to_string(degrees) + " degrees of freedom, expected 1 or more");
  constexpr Index most_exact = 200;
  if (degrees > most_exact) {  // 26.7.5, whose next term is below 1e-8 there
    const double z = 1.959963984540054, n = static_cast<double>(degrees);
    const double z3 = z * z * z, z5 = z3 * z * z, z7 = z5 * z * z;
    return z + (z3 + z) / (4 * n) + (5 * z5 + 16 * z3 + 3 * z) / (96 * n * n) +
           (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * n * n * n);
  }
  double low = 1.0, high = 13.0;  // 12.706 for one degree
  for (int i = 0; i < 60; ++i) {
    const double middle = 0.5 * (low + high);
    (student_t_within(middle, degrees) < 0.95 ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

MeanInterval mean_interval(std::span<const double> values) {
  if (values.size() < 2)
    throw ArgumentError(interval_name, std::to_string(values.size()) + " values; expected two at least");
  double mean = 0.0;
  for (const double value : values) {
    if (!std::isfinite(value)) throw NumericError(interval_name, "a value is " + std::to_string(value));
    mean += value;
  }
  const auto count = static_cast<double>(values.size());
  mean /= count;
  double squares = 0.0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  MeanInterval result{mean, std::sqrt(squares / (count * (count - 1.0))), 0.0, 0.0};
  const double half_width = student_t_975(static_cast<Index>(values.size()) - 1) * result.standard_error;
  result.low = mean - half_width;
  result.high = mean + half_width;
  return result;
}

}  // namespace daguerre::metrics

#include "daguerre/metrics/paired.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "daguerre/metrics/mean_interval.hpp"
#include "metrics/bootstrap.hpp"
#include "metrics/checks.hpp"
#include "metrics/distributions.hpp"

namespace daguerre::metrics {
namespace {

constexpr const char* paired_name = "compare_paired";
constexpr double endless = std::numeric_limits<double>::infinity();

void require_values(std::span<const double> values, const char* which) {
  for (std::size_t i = 0; i < values.size(); ++i)
    if (!std::isfinite(values[i]))
      throw NumericError(
          paired_name, std::string(which) + " " + std::to_string(i + 1) + " is " + std::to_string(values[i]));
}

Interval bootstrap_interval(const std::vector<double>& differences, double mean,
                            const PairedOptions& options) {
  if (differences.size() < 2 || options.resamples == 0) return {mean, -endless, endless};
  std::mt19937 generator(options.seed);
  std::vector<double> means;
  for (int i = 0; i < options.resamples; ++i) {
    double sum = 0.0;
    for (std::size_t j = 0; j < differences.size(); ++j)
      sum += differences[number_below(generator, differences.size())];
    means.push_back(sum / static_cast<double>(differences.size()));
  }
  std::ranges::sort(means);
  return {mean, quantile(means, 0.025), quantile(means, 0.975)};
}

}  // namespace

Interval interval_of_mean(std::span<const double> values) {
  if (values.empty()) throw ArgumentError(paired_name, "there are no values");
  require_values(values, "value");
  if (values.size() < 2) return {values.front(), -endless, endless};
  const auto found = mean_interval(values);
  return {found.mean, found.low, found.high};
}

Interval share_interval(double successes, double count) {
  if (!(count > 0.0) || !(successes >= 0.0) || !(successes <= count) || !std::isfinite(count))
    throw ArgumentError("share_interval",
                        std::to_string(successes) + " of " + std::to_string(count) + " is no share");
  const double share = successes / count, square = normal_975 * normal_975;
  const double middle = (share + square / (2 * count)) / (1 + square / count);
  const double half = normal_975 / (1 + square / count) *
                      std::sqrt(share * (1 - share) / count + square / (4 * count * count));
  return {share, std::max(0.0, middle - half), std::min(1.0, middle + half)};
}

PairedComparison compare_paired(std::span<const double> a, std::span<const double> b,
                                const PairedOptions& options) {
  if (a.empty() || a.size() != b.size())
    throw ArgumentError(paired_name, "series of " + std::to_string(a.size()) + " and " +
                                         std::to_string(b.size()) + " values, expected pairs");
  if (options.resamples < 0 || options.resamples > 1'000'000)
    throw ArgumentError(paired_name, std::to_string(options.resamples) + " resamples, expected 0 to 1000000");
  require_values(a, "a");
  require_values(b, "b");
  PairedComparison result;
  result.count = static_cast<Index>(a.size());
  std::vector<double> differences;
  for (std::size_t i = 0; i < a.size(); ++i) {
    differences.push_back(a[i] - b[i]);
    ++(a[i] > b[i] ? result.wins : a[i] < b[i] ? result.losses : result.ties);
  }
  result.difference = interval_of_mean(differences);
  result.bootstrap = bootstrap_interval(differences, result.difference.value, options);
  result.win_rate = share_interval(static_cast<double>(result.wins) + 0.5 * static_cast<double>(result.ties),
                                   static_cast<double>(result.count));
  result.sign_test = fair_coin_probability(result.wins, result.losses);
  return result;
}

}  // namespace daguerre::metrics

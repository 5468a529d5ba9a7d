#include "daguerre/metrics/agreement.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>

#include "daguerre/core/error.hpp"
#include "metrics/bootstrap.hpp"

namespace daguerre::metrics {
namespace {

/// What a unit adds: how often each category was chosen, and how many of its ratings' ordered pairs differ,
/// divided by one less than their number (the coincidences off the diagonal).
struct UnitCounts {
  std::map<int, double> chosen;
  double ratings = 0.0, disagreement = 0.0;
};

UnitCounts counts_of(const std::vector<int>& unit) {
  UnitCounts result;
  for (const int category : unit) ++result.chosen[category];
  result.ratings = static_cast<double>(unit.size());
  double alike = 0.0;
  for (const auto& [category, count] : result.chosen) alike += count * count;
  result.disagreement = (result.ratings * result.ratings - alike) / (result.ratings - 1.0);
  return result;
}

/// Alpha of the units that `place` names, one for each i below `count`.
template <class Place>
double alpha_of(const std::vector<UnitCounts>& units, Place place) {
  std::map<int, double> chosen;
  double ratings = 0.0, observed = 0.0, alike = 0.0;
  for (std::size_t i = 0; i < units.size(); ++i) {
    const auto& unit = units[place(i)];
    for (const auto& [category, count] : unit.chosen) chosen[category] += count;
    ratings += unit.ratings;
    observed += unit.disagreement;
  }
  for (const auto& [category, count] : chosen) alike += count * count;
  const double expected = (ratings * ratings - alike) / (ratings - 1.0);
  return expected > 0.0 ? 1.0 - observed / expected : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

Agreement krippendorff_alpha(std::span<const std::vector<int>> units, const AgreementOptions& options) {
  std::vector<UnitCounts> counted;
  Agreement result;
  for (const auto& unit : units) {
    if (unit.size() < 2) continue;
    counted.push_back(counts_of(unit));
    result.ratings += static_cast<Index>(unit.size());
  }
  if (counted.empty()) throw ArgumentError("krippendorff_alpha", "no unit was rated more than once");
  result.units = static_cast<Index>(counted.size());
  const double alpha = alpha_of(counted, [](std::size_t i) { return i; });
  result.alpha = {alpha, -1.0, 1.0};
  if (std::isnan(alpha) || options.resamples < 1 || counted.size() < 2) return result;
  std::mt19937 generator(options.seed);
  std::vector<double> values;
  for (int i = 0; i < options.resamples; ++i) {
    const double value =
        alpha_of(counted, [&](std::size_t) { return number_below(generator, counted.size()); });
    // All of one category: they agree, and say nothing of chance.
    values.push_back(std::isnan(value) ? 1.0 : value);
  }
  std::ranges::sort(values);
  result.alpha.low = quantile(values, 0.025);
  result.alpha.high = quantile(values, 0.975);
  return result;
}

}  // namespace daguerre::metrics

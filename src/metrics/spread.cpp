#include "daguerre/metrics/spread.hpp"

#include <cmath>
#include <numeric>
#include <utility>

namespace daguerre::metrics {

Spread spread_of(std::vector<double> values) {
  Spread result;
  const auto count = static_cast<double>(values.size());
  result.mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
  double squares = 0.0;
  for (const double value : values) squares += (value - result.mean) * (value - result.mean);
  result.standard_deviation = std::sqrt(squares / count);
  result.values = std::move(values);
  return result;
}

}  // namespace daguerre::metrics

#pragma once

#include <vector>

namespace daguerre::metrics {

/// A score computed several times: on splits or on random subsets.
struct Spread {
  std::vector<double> values;
  double mean = 0.0;
  double standard_deviation = 0.0;  ///< of the population (divided by their number), as numpy.std
};

/// The spread of `values`, which must not be empty.
Spread spread_of(std::vector<double> values);

}  // namespace daguerre::metrics

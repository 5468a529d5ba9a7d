#pragma once

#include <vector>

namespace daguerre::cli {

/// What several measurements of one thing have in common.
struct Spread {
  double median = 0.0;
  double least = 0.0;
  double most = 0.0;
};

/// The median of an even number of values is the mean of the two in the middle. All zero for none.
Spread spread(std::vector<double> values);

}  // namespace daguerre::cli

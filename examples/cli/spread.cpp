#include "spread.hpp"

#include <algorithm>

namespace daguerre::cli {

Spread spread(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const std::size_t upper = values.size() / 2, lower = (values.size() - 1) / 2;
  return {0.5 * (values[lower] + values[upper]), values.front(), values.back()};
}

}  // namespace daguerre::cli

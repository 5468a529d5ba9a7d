#include "metrics/distributions.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace daguerre::metrics {
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

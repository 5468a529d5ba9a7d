#pragma once

#include "daguerre/core/shape.hpp"

namespace daguerre::metrics {

/// The 0.975 quantile of the normal distribution.
inline constexpr double normal_975 = 1.959963984540054;

/// The two-sided probability of at most min(a, b) or at least max(a, b) heads of a + b throws of a fair coin.
double fair_coin_probability(Index a, Index b);

}  // namespace daguerre::metrics

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace daguerre::metrics {

/// A number below `count`, at most 2^32, alike with every standard library.
inline std::size_t number_below(std::mt19937& generator, std::size_t count) {
  return static_cast<std::size_t>((std::uint64_t{generator()} * count) >> 32);
}

/// The quantile of sorted values, between neighbours where it lies between them (numpy's "linear").
inline double quantile(const std::vector<double>& sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const auto above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace daguerre::metrics

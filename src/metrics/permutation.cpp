#include "metrics/permutation.hpp"

#include <bit>
#include <numeric>
#include <utility>

namespace daguerre::metrics {

std::vector<Index> numpy_permutation(std::mt19937& generator, Index count) {
  if (count < 0 || count > (Index{1} << 32))
    throw ArgumentError("numpy_permutation", "of " + std::to_string(count) + " elements");
  std::vector<Index> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), Index{0});
  for (auto last = static_cast<std::size_t>(count); last-- > 1;) {
    // Numbers beyond the range are thrown away, after cutting them to as many bits as the range has.
    const std::uint64_t mask = (std::uint64_t{1} << std::bit_width(last)) - 1;
    std::uint64_t other = generator() & mask;
    while (other > last) other = generator() & mask;
    std::swap(order[last], order[static_cast<std::size_t>(other)]);
  }
  return order;
}

}  // namespace daguerre::metrics

#pragma once

#include <random>
#include <vector>

#include "daguerre/core/tensor.hpp"

namespace daguerre::metrics {

/// numpy.random.RandomState.permutation(count): 0 … count - 1 in random order. A RandomState of seed s is a
/// std::mt19937 of seed s. Throws ArgumentError for a negative count or one beyond 2^32.
std::vector<Index> numpy_permutation(std::mt19937& generator, Index count);

/// Copies of the rows of `rows`, [N, D], that `order` names.
template <class T>
Tensor<T> pick_rows(const Tensor<T>& rows, std::span<const Index> order) {
  const Index columns = rows.dim(1);
  Tensor<T> result({static_cast<Index>(order.size()), columns});
  T* out = result.data();
  for (const Index row : order) out = std::copy_n(rows.data() + row * columns, columns, out);
  return result;
}

}  // namespace daguerre::metrics

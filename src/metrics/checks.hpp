#pragma once

#include <cmath>
#include <string>
#include <string_view>

#include "daguerre/core/tensor.hpp"

namespace daguerre::metrics {

/// Throws NumericError, naming row and column, when an element of [rows, columns] is NaN or infinite.
template <class T>
void require_finite(std::string_view who, std::string_view what, const Tensor<T>& matrix) {
  const Index columns = matrix.dim(-1);
  for (Index i = 0; i < matrix.size(); ++i)
    if (!std::isfinite(matrix.data()[i]))
      throw NumericError(who, std::string(what) + " [" + std::to_string(i / columns) + ", " +
                                  std::to_string(i % columns) + "] is " + std::to_string(matrix.data()[i]));
}

/// The same, and ArgumentError unless the shape is [N, D] with N at least `fewest` and D at least 1.
template <class T>
void require_rows(std::string_view who, std::string_view what, const Tensor<T>& rows, Index fewest = 1) {
  if (rows.rank() != 2 || rows.dim(0) < fewest || rows.dim(1) < 1)
    throw ArgumentError(who, std::string(what) + " are " + to_string(rows.shape()) +
                                 ", expected [N, D] with at least " + std::to_string(fewest) + " rows");
  require_finite(who, what, rows);
}

/// Throws ArgumentError unless rows of `x` are as wide as those of `y`.
template <class T>
void require_one_width(std::string_view who, const Tensor<T>& x, const Tensor<T>& y) {
  if (x.dim(1) != y.dim(1))
    throw ArgumentError(
        who, "features of " + std::to_string(x.dim(1)) + " and " + std::to_string(y.dim(1)) + " dimensions");
}

/// Throws NumericError unless `result` is finite.
inline double finite(std::string_view who, double result) {
  if (!std::isfinite(result)) throw NumericError(who, "the result is " + std::to_string(result));
  return result;
}

/// Where part `i` of `parts` begins when `count` things are cut into parts of nearly equal size.
inline Index part_begin(Index i, Index parts, Index count) {
  return checked_multiply(i, count) / parts;
}

}  // namespace daguerre::metrics

#pragma once

#include <vector>

#include "daguerre/core/tensor.hpp"

namespace daguerre::metrics {

/// The mean squared difference of each of N pictures from its partner; tensors are [N, ...] of one shape, T
/// is float or double. Throws ArgumentError when the shapes differ or are empty, NumericError when a result
/// is not finite.
template <class T>
std::vector<double> mean_squared_error(const Tensor<T>& a, const Tensor<T>& b);

/// Peak signal-to-noise ratio in decibels of each of N pictures, 10 log10(range^2 / mean squared error);
/// infinite for equal ones. `range` is that of the values: 1, 2 or 255. Throws what `mean_squared_error`
/// throws, and ArgumentError for a range that is not positive and finite.
template <class T>
std::vector<double> psnr(const Tensor<T>& a, const Tensor<T>& b, double range = 1.0);

}  // namespace daguerre::metrics

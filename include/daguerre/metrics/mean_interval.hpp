#pragma once

#include <span>

#include "daguerre/core/shape.hpp"

namespace daguerre::metrics {

/// The 0.975 quantile of Student's t distribution, to eight digits. Throws ArgumentError below one degree
/// of freedom.
double student_t_975(Index degrees);

/// A mean and how far the values determine it.
struct MeanInterval {
  double mean = 0.0;
  double standard_error = 0.0;
  double low = 0.0, high = 0.0;  ///< 95 % interval, mean -+ t standard error
};

/// Of N >= 2 finite values; standard error = the sample's standard deviation / sqrt(N). Throws ArgumentError
/// for fewer, NumericError for NaN or infinity.
MeanInterval mean_interval(std::span<const double> values);

}  // namespace daguerre::metrics

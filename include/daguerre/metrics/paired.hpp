#pragma once

#include <cstdint>
#include <span>

#include "daguerre/core/shape.hpp"

namespace daguerre::metrics {

/// A value, and where it is with 95 % confidence.
struct Interval {
  double value = 0.0, low = 0.0, high = 0.0;
};

struct PairedOptions {
  int resamples = 10'000;  ///< of the bootstrap; 0: none
  std::uint32_t seed = 0;  ///< of the bootstrap
};

/// What two series say of each other, a_i and b_i being two looks at one thing (two models' scores for one
/// prompt and seed).
struct PairedComparison {
  Index count = 0;
  Interval difference;  ///< the mean of a_i - b_i, by Student's t with count - 1 degrees of freedom
  Interval bootstrap;   ///< the same, between the 2.5 and the 97.5 % quantile of its resampled pairs
  /// How often a is above b, an equal pair counting half. Wilson's score interval (1927), which with ties is
  /// rather too wide than too narrow.
  Interval win_rate;
  Index wins = 0, losses = 0, ties = 0;  ///< pairs in which a is above b, below it, equal to it
  double sign_test = 1.0;  ///< two-sided probability of so uneven wins and losses by chance, ties left out
};

/// Compares pair by pair. The same seed gives the same interval everywhere. Where no pair tells a spread (one
/// pair alone), the intervals reach from minus infinity to infinity. Throws ArgumentError where the series
/// are empty or not of one length, or for a number of resamples below 0 or above a million; NumericError for
/// NaN or infinity.
PairedComparison compare_paired(std::span<const double> a, std::span<const double> b,
                                const PairedOptions& options = {});

/// The mean of `values` with its 95 % interval, as `mean_interval`; that of one value is endless. Throws
/// likewise.
Interval interval_of_mean(std::span<const double> values);

/// `successes` of `count` (halves are allowed) as a share, with Wilson's score interval. Throws ArgumentError
/// unless 0 <= successes <= count and count > 0.
Interval share_interval(double successes, double count);

}  // namespace daguerre::metrics

#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "daguerre/metrics/paired.hpp"

namespace daguerre::metrics {

/// How far raters agree beyond chance.
struct Agreement {
  /// Krippendorff's alpha: 1 for agreement everywhere, 0 for that of chance, below for less. The interval is
  /// a bootstrap's over the units.
  Interval alpha;
  Index units = 0;    ///< that were rated more than once
  Index ratings = 0;  ///< of them
};

struct AgreementOptions {
  int resamples = 1'000;   ///< of the bootstrap; 0: none, and the interval is [-1, 1]
  std::uint32_t seed = 0;  ///< of the bootstrap
};

/// Krippendorff's alpha for nominal data (Computing Krippendorff's Alpha-Reliability, 2011), which allows for
/// any number of ratings of a unit, 1 - D_o / D_e with the disagreement observed within units and that
/// expected of all ratings mixed. Each unit is the categories that its raters chose; those rated once do not
/// count. Throws ArgumentError where nothing was rated twice; where all ratings are the same category there
/// is no chance to compare with, and alpha is NaN.
Agreement krippendorff_alpha(std::span<const std::vector<int>> units, const AgreementOptions& options = {});

}  // namespace daguerre::metrics

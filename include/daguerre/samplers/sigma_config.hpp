#pragma once

#include <optional>

#include "daguerre/samplers/noise_schedule.hpp"
#include "daguerre/samplers/prediction.hpp"
#include "daguerre/samplers/sigma_schedule.hpp"
#include "daguerre/samplers/timesteps.hpp"

namespace daguerre::samplers {

/// What the samplers over noise levels (Euler, Heun, KDPM2, LMS) are all configured by.
struct SigmaSamplerConfig {
  NoiseScheduleConfig schedule;
  PredictionType prediction_type = PredictionType::epsilon;
  TimestepSpacing timestep_spacing = TimestepSpacing::linspace;
  int steps_offset = 0;
  /// Any but `lu`. With another than `timesteps` the levels run between those of the first and the last
  /// timestep, or between `sigma_max` and `sigma_min`.
  SigmaSpacing sigma_spacing = SigmaSpacing::timesteps;
  std::optional<double> sigma_min, sigma_max;
  LevelForm level_form = LevelForm::float64;
};

}  // namespace daguerre::samplers

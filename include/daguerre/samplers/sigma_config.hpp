#pragma once

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
  /// timestep.
  SigmaSpacing sigma_spacing = SigmaSpacing::timesteps;
};

}  // namespace daguerre::samplers

#pragma once

#include <optional>

#include "daguerre/samplers/flow_sigmas.hpp"
#include "daguerre/samplers/noise_schedule.hpp"
#include "daguerre/samplers/prediction.hpp"
#include "daguerre/samplers/sigma_schedule.hpp"
#include "daguerre/samplers/timesteps.hpp"

namespace daguerre::samplers {

/// What the solvers in the half log-SNR lambda (DPM-Solver, DEIS, UniPC) are all configured by.
struct LambdaSamplerConfig {
  NoiseScheduleConfig schedule;
  PredictionType prediction_type = PredictionType::epsilon;
  OriginalLimits limits;  ///< thresholding only
  int solver_order = 2;   ///< 1 to 3
  /// Any; `lu` in the multistep DPM-Solver only.
  SigmaSpacing sigma_spacing = SigmaSpacing::timesteps;
  /// Ends of the Karras, exponential and beta levels; otherwise those of the schedule.
  std::optional<double> sigma_min, sigma_max;
  /// With `use`, levels are flow levels unless `sigma_spacing` says otherwise, and samples lie on straight
  /// paths either way.
  FlowSigmas flow;
};

}  // namespace daguerre::samplers

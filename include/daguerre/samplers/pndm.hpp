#pragma once

#include "daguerre/config/config.hpp"
#include "daguerre/samplers/noise_schedule.hpp"
#include "daguerre/samplers/prediction.hpp"
#include "daguerre/samplers/sampler.hpp"
#include "daguerre/samplers/timesteps.hpp"

namespace daguerre::samplers {

struct PndmConfig {
  NoiseScheduleConfig schedule;
  /// `sample` is not possible.
  PredictionType prediction_type = PredictionType::epsilon;
  TimestepSpacing timestep_spacing = TimestepSpacing::leading;
  int steps_offset = 0;
  /// Past the last step alphas_cumprod is 1, otherwise alphas_cumprod[0].
  bool set_alpha_to_one = false;
  /// Start with lower-order multistep formulas instead of three Runge-Kutta steps of four calls each.
  bool skip_prk_steps = false;

  /// Reads a `PNDMScheduler` configuration. Throws ConfigError.
  static PndmConfig from(const daguerre::Config& config);
};

/// PNDM, "Pseudo Numerical Methods for Diffusion Models on Manifolds" (arXiv:2202.09778): the transfer of
/// equation 11 (`transfer` in the code), pseudo Runge-Kutta steps (equation 13) and pseudo linear multistep
/// steps (equation 12, Adams-Bashforth weights). Agrees with diffusers' PNDMScheduler, which without
/// Runge-Kutta steps (`skip_prk_steps`) repeats the second timestep: n steps take n + 1 model calls, and n +
/// 9 with them.
///
/// In the code `history_` holds the paper's e_t, newest last, and `counter` the number of calls made; a run
/// that begins later (image to image) counts from its own beginning.
class PndmSampler final : public Sampler {
 public:
  explicit PndmSampler(const PndmConfig& config);
  std::unique_ptr<SamplerRun> start(const RunOptions& options) const override;
  std::span<const float> alphas_cumprod() const override { return schedule_.alphas_cumprod(); }

 private:
  PndmConfig config_;
  NoiseSchedule schedule_;
};

}  // namespace daguerre::samplers

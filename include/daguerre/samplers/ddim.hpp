#pragma once

#include "daguerre/config/config.hpp"
#include "daguerre/samplers/noise_schedule.hpp"
#include "daguerre/samplers/prediction.hpp"
#include "daguerre/samplers/sampler.hpp"
#include "daguerre/samplers/timesteps.hpp"

namespace daguerre::samplers {

struct DdimConfig {
  NoiseScheduleConfig schedule;
  PredictionType prediction_type = PredictionType::epsilon;
  OriginalLimits limits{.clip_sample = true};
  TimestepSpacing timestep_spacing = TimestepSpacing::leading;
  int steps_offset = 0;
  /// Past the last step alphas_cumprod is 1, otherwise alphas_cumprod[0].
  bool set_alpha_to_one = true;

  /// Reads a `DDIMScheduler` configuration. Throws ConfigError.
  static DdimConfig from(const daguerre::Config& config);
};

/// DDIM, "Denoising Diffusion Implicit Models" (arXiv:2010.02502), equations 12 and 16. Agrees with
/// diffusers' DDIMScheduler.
///
/// In the code `alpha_prod` is the paper's alpha_t, `alpha_prod_prev` its alpha_{t-1} (of the timestep
/// t - num_train_timesteps / steps), `std_dev` is sigma_t(eta). Uses RunOptions::eta and
/// use_clipped_model_output; draws noise when eta > 0.
class DdimSampler final : public Sampler {
 public:
  explicit DdimSampler(const DdimConfig& config);
  std::unique_ptr<SamplerRun> start(const RunOptions& options) const override;
  std::span<const float> alphas_cumprod() const override { return schedule_.alphas_cumprod(); }

 private:
  DdimConfig config_;
  NoiseSchedule schedule_;
};

}  // namespace daguerre::samplers

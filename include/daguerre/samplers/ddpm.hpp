#pragma once

#include "daguerre/config/config.hpp"
#include "daguerre/samplers/noise_schedule.hpp"
#include "daguerre/samplers/prediction.hpp"
#include "daguerre/samplers/sampler.hpp"
#include "daguerre/samplers/timesteps.hpp"

namespace daguerre::samplers {

/// What the variance of a DDPM step is, and what the network says about it.
enum class VarianceType {
  fixed_small,      ///< the posterior variance, "beta tilde" (equation 7)
  fixed_small_log,  ///< the same, through its logarithm
  fixed_large,      ///< beta itself
  fixed_large_log,  ///< diffusers takes the root of a logarithm here: NaN wherever noise is added
  learned,          ///< the model's second half is the variance
  learned_range     ///< the second half interpolates between the logs of both (arXiv:2102.09672, equation 15)
};

struct DdpmConfig {
  NoiseScheduleConfig schedule;
  PredictionType prediction_type = PredictionType::epsilon;
  OriginalLimits limits{.clip_sample = true};
  VarianceType variance_type = VarianceType::fixed_small;
  TimestepSpacing timestep_spacing = TimestepSpacing::leading;
  int steps_offset = 0;
  /// Steps go back num_train_timesteps / steps, whatever the next timestep is, as in diffusers before 0.32.
  bool even_strides = false;

  /// Reads a `DDPMScheduler` configuration. Throws ConfigError.
  static DdpmConfig from(const daguerre::Config& config);
};

/// DDPM, "Denoising Diffusion Probabilistic Models" (arXiv:2006.11239): ancestral sampling with the posterior
/// q(x_{t-1} | x_t, x_0) of equations 6 and 7. Agrees with diffusers' DDPMScheduler.
///
/// In the code `alpha_prod` is the paper's alpha-bar_t, `alpha_prod_prev` that of the next timestep (1 after
/// the last), `beta_prod` is 1 - alpha_prod, `alpha` and `beta` are the factors between the two. Noise is
/// added whenever t > 0, also at the last step of a `trailing` run.
class DdpmSampler final : public Sampler {
 public:
  explicit DdpmSampler(const DdpmConfig& config);
  std::unique_ptr<SamplerRun> start(const RunOptions& options) const override;
  std::span<const float> alphas_cumprod() const override { return schedule_.alphas_cumprod(); }

 private:
  DdpmConfig config_;
  NoiseSchedule schedule_;
};

}  // namespace daguerre::samplers

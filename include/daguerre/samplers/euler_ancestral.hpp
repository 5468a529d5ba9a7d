#pragma once

#include "daguerre/config/config.hpp"
#include "daguerre/samplers/noise_schedule.hpp"
#include "daguerre/samplers/prediction.hpp"
#include "daguerre/samplers/sampler.hpp"
#include "daguerre/samplers/timesteps.hpp"

namespace daguerre::samplers {

struct EulerAncestralConfig {
  NoiseScheduleConfig schedule;
  /// `sample` is not possible.
  PredictionType prediction_type = PredictionType::epsilon;
  TimestepSpacing timestep_spacing = TimestepSpacing::linspace;
  int steps_offset = 0;

  /// Reads an `EulerAncestralDiscreteScheduler` configuration. Throws ConfigError.
  static EulerAncestralConfig from(const daguerre::Config& config);
};

/// Ancestral sampling with Euler steps (k-diffusion's sample_euler_ancestral): each step goes down to
/// `sigma_down` and adds noise of standard deviation `sigma_up`, so that sigma_down^2 + sigma_up^2 =
/// sigma_to^2, where sigma_up^2 is the variance of DDPM's posterior (arXiv:2006.11239, equation 7, for
/// samples x_0 + sigma noise). Agrees with diffusers' EulerAncestralDiscreteScheduler; draws noise at every
/// step, also the last one, where it is multiplied by zero.
class EulerAncestralSampler final : public Sampler {
 public:
  explicit EulerAncestralSampler(const EulerAncestralConfig& config);
  std::unique_ptr<SamplerRun> start(const RunOptions& options) const override;
  std::span<const float> alphas_cumprod() const override { return schedule_.alphas_cumprod(); }

 private:
  EulerAncestralConfig config_;
  NoiseSchedule schedule_;
};

}  // namespace daguerre::samplers

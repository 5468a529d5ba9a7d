#pragma once

#include "daguerre/config/config.hpp"
#include "daguerre/samplers/sampler.hpp"
#include "daguerre/samplers/sigma_config.hpp"

namespace daguerre::samplers {

/// `prediction_type` sample is not possible.
struct Kdpm2Config : SigmaSamplerConfig {
  Kdpm2Config() { schedule.beta_start = 0.00085, schedule.beta_end = 0.012; }
  /// Each step goes below the next level and adds noise.
  bool ancestral = false;

  /// Reads a `KDPM2DiscreteScheduler` or, as `_class_name` says, a `KDPM2AncestralDiscreteScheduler`
  /// configuration. Throws ConfigError.
  static Kdpm2Config from(const daguerre::Config& config);
};

/// A midpoint method over noise levels, DPM-Solver-2 (arXiv:2206.00927, algorithm 1 with r_1 = 1/2) for
/// samples x_0 + sigma noise: k-diffusion's sample_dpm_2 and sample_dpm_2_ancestral. Agrees with diffusers'
/// KDPM2DiscreteScheduler and KDPM2AncestralDiscreteScheduler.
///
/// n steps take 2n - 1 model calls: one at level `from`, which leads to the geometric mean `middle` of both
/// ends (the paper's s_i, half way in lambda = -log sigma), and one there, whose derivative leads from the
/// beginning to `to`. The last step, to zero, is a single Euler step. In the ancestral form `to` is
/// sigma_down and noise of standard deviation sigma_up follows, as in EulerAncestralSampler.
class Kdpm2Sampler final : public Sampler {
 public:
  /// Throws ConfigError for combinations that do not exist.
  explicit Kdpm2Sampler(const Kdpm2Config& config);
  std::unique_ptr<SamplerRun> start(const RunOptions& options) const override;
  std::span<const float> alphas_cumprod() const override { return schedule_.alphas_cumprod(); }
  int order() const override { return 2; }

 private:
  Kdpm2Config config_;
  NoiseSchedule schedule_;
};

}  // namespace daguerre::samplers

#pragma once

#include "daguerre/config/config.hpp"
#include "daguerre/samplers/noise_schedule.hpp"
#include "daguerre/samplers/prediction.hpp"
#include "daguerre/samplers/sampler.hpp"

/// Samplers of consistency-distilled models, which take few steps.
namespace daguerre::samplers {

/// What LCM and TCD are both configured by. Timesteps are chosen among those of the distillation,
/// `original_inference_steps` evenly spaced ones; RunOptions::steps is at most that. A run may have its own,
/// RunOptions::original_inference_steps and RunOptions::strength.
struct ConsistencyConfig {
  ConsistencyConfig();
  NoiseScheduleConfig schedule;
  PredictionType prediction_type = PredictionType::epsilon;
  int original_inference_steps = 50;
};

struct LcmConfig : ConsistencyConfig {
  OriginalLimits limits;
  double timestep_scaling = 10.0;

  /// Reads an `LCMScheduler` configuration. Throws ConfigError.
  static LcmConfig from(const daguerre::Config& config);
};

/// "Latent Consistency Models" (arXiv:2310.04378): multistep consistency sampling, algorithm 3. Agrees with
/// diffusers' LCMScheduler. Draws noise at every step but the last.
///
/// In the code `c_skip` and `c_out` are those of equation 9's boundary condition with sigma_data = 1/2 and
/// the timestep scaled by `timestep_scaling`; `denoised` is f(x_t, t) = c_skip x_t + c_out x_0.
class LcmSampler final : public Sampler {
 public:
  /// Throws ConfigError.
  explicit LcmSampler(const LcmConfig& config);
  std::unique_ptr<SamplerRun> start(const RunOptions& options) const override;
  std::span<const float> alphas_cumprod() const override { return schedule_.alphas_cumprod(); }

 private:
  LcmConfig config_;
  NoiseSchedule schedule_;
};

struct TcdConfig : ConsistencyConfig {
  /// Reads a `TCDScheduler` configuration. Throws ConfigError.
  static TcdConfig from(const daguerre::Config& config);
};

/// "Trajectory Consistency Distillation" (arXiv:2402.19159): strategic stochastic sampling.
/// Agrees with diffusers' TCDScheduler, whose step takes eta = 0.3 when none is given.
///
/// RunOptions::eta is the paper's gamma: a step goes to timestep s = (1 - eta) t', t' being the next one, and
/// from there back to t' with noise; eta = 0 is deterministic and draws none. In the code `alpha_prod_s` and
/// `alpha_prod_prev` are alphas_cumprod at s and t'. The last step goes to timestep 0.
class TcdSampler final : public Sampler {
 public:
  /// Throws ConfigError.
  explicit TcdSampler(const TcdConfig& config);
  std::unique_ptr<SamplerRun> start(const RunOptions& options) const override;
  std::span<const float> alphas_cumprod() const override { return schedule_.alphas_cumprod(); }

 private:
  TcdConfig config_;
  NoiseSchedule schedule_;
};

}  // namespace daguerre::samplers

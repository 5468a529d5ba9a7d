#pragma once

#include "daguerre/config/config.hpp"
#include "daguerre/samplers/sampler.hpp"
#include "daguerre/samplers/sigma_config.hpp"

namespace daguerre::samplers {

struct EulerConfig : SigmaSamplerConfig {
  /// Sigmas are evenly spaced in their logarithm, whatever the timesteps are (`interpolation_type`); there is
  /// then one level more than there are timesteps, which is a call of its own with continuous timesteps.
  bool log_linear = false;
  /// With v_prediction, the model is called with log(sigma) / 4 instead of a timestep (`timestep_type`).
  bool continuous_timesteps = false;
  FinalSigma final_sigma = FinalSigma::zero;

  /// Reads an `EulerDiscreteScheduler` configuration. Throws ConfigError.
  static EulerConfig from(const daguerre::Config& config);
};

/// Euler's method with optional churn: algorithm 2 of EDM, "Elucidating the Design Space of Diffusion-Based
/// Generative Models" (arXiv:2206.00364), without the second-order correction. Agrees with diffusers'
/// EulerDiscreteScheduler.
///
/// The sample is x = x_0 + sigma noise. In the code `sigma` is the paper's t_i, `sigma_hat` its t-hat_i,
/// `gamma` its gamma_i, `derivative` its d_i. Uses RunOptions::s_churn, s_tmin, s_tmax and s_noise; draws
/// noise only where it churns.
class EulerSampler final : public Sampler {
 public:
  /// Throws ConfigError for combinations that do not exist.
  explicit EulerSampler(const EulerConfig& config);
  std::unique_ptr<SamplerRun> start(const RunOptions& options) const override;
  std::span<const float> alphas_cumprod() const override { return schedule_.alphas_cumprod(); }

 private:
  EulerConfig config_;
  NoiseSchedule schedule_;
};

}  // namespace daguerre::samplers

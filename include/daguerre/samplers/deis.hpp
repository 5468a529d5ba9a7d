#pragma once

#include "daguerre/config/config.hpp"
#include "daguerre/samplers/lambda_config.hpp"
#include "daguerre/samplers/sampler.hpp"

namespace daguerre::samplers {

struct DeisConfig : LambdaSamplerConfig {
  bool lower_order_final = true;
  TimestepSpacing timestep_spacing = TimestepSpacing::linspace;
  int steps_offset = 0;

  /// Reads a `DEISMultistepScheduler` configuration. Throws ConfigError.
  static DeisConfig from(const daguerre::Config& config);
};

/// DEIS, "Fast Sampling of Diffusion Models with Exponential Integrator" (arXiv:2204.13902): the method the
/// paper calls rho-AB, Adams-Bashforth in the rescaled time rho, with the polynomial in log rho. Agrees with
/// diffusers' DEISMultistepScheduler, whose last level is the schedule's smallest or, with another spacing or
/// flow levels, the smallest of these once more.
///
/// In the code `rho` is sigma_t / alpha_t, history k the noise prediction eps_k at rho_{i-k}, and weight k
/// the integral over [rho_i, rho_{i+1}] of the Lagrange polynomial in log rho that is 1 at rho_{i-k} and 0 at
/// the others: x_{i+1} / alpha_{i+1} = x_i / alpha_i + sum_k weight_k eps_k.
class DeisSampler final : public Sampler {
 public:
  /// Throws ConfigError for combinations that do not exist.
  explicit DeisSampler(const DeisConfig& config);
  std::unique_ptr<SamplerRun> start(const RunOptions& options) const override;
  std::span<const float> alphas_cumprod() const override { return schedule_.alphas_cumprod(); }

 private:
  DeisConfig config_;
  NoiseSchedule schedule_;
};

}  // namespace daguerre::samplers

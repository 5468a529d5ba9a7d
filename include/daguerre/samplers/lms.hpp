#pragma once

#include "daguerre/config/config.hpp"
#include "daguerre/samplers/sampler.hpp"
#include "daguerre/samplers/sigma_config.hpp"

namespace daguerre::samplers {

struct LmsConfig : SigmaSamplerConfig {
  /// Reads an `LMSDiscreteScheduler` configuration. Throws ConfigError.
  static LmsConfig from(const daguerre::Config& config);
};

/// The linear multistep method of order 4 over noise levels (k-diffusion's sample_lms; the variable-step
/// Adams-Bashforth formulas, e.g. Hairer, Nørsett and Wanner, "Solving Ordinary Differential Equations I",
/// section III.5): dx/dsigma = d is integrated over the polynomial through the last derivatives. Agrees with
/// diffusers' LMSDiscreteScheduler; a run that begins later builds up its order from there.
///
/// In the code `derivative` is d = (x - x_0) / sigma, and weight k the integral over [sigma_i, sigma_{i+1}]
/// of the Lagrange polynomial that is 1 at sigma_{i-k}.
class LmsSampler final : public Sampler {
 public:
  /// Throws ConfigError for combinations that do not exist.
  explicit LmsSampler(const LmsConfig& config);
  std::unique_ptr<SamplerRun> start(const RunOptions& options) const override;
  std::span<const float> alphas_cumprod() const override { return schedule_.alphas_cumprod(); }

 private:
  LmsConfig config_;
  NoiseSchedule schedule_;
};

}  // namespace daguerre::samplers

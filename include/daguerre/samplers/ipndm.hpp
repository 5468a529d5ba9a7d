#pragma once

#include <vector>

#include "daguerre/config/config.hpp"
#include "daguerre/samplers/sampler.hpp"

namespace daguerre::samplers {

struct IpndmConfig {
  int num_train_timesteps = 1000;  ///< the largest number of steps
  /// The levels of a run, sigma of every call and of the finished sample, when not empty. Runs then have one
  /// step less than there are levels.
  std::vector<double> trained_betas = {};

  /// Reads an `IPNDMScheduler` configuration. Throws ConfigError.
  static IpndmConfig from(const daguerre::Config& config);
};

/// Improved PNDM, the fourth-order linear multistep method of PNDM (arXiv:2202.09778, equation 12) with lower
/// orders in the first steps, over a continuous schedule (crowsonkb/v-diffusion-pytorch). Agrees with
/// diffusers' IPNDMScheduler. For models that predict v and take timesteps from 0 to 1.
///
/// In the code `sigma` = sin^2(pi t / 2) and `alpha` = sqrt(1 - sigma^2) are the coefficients of
/// x = alpha x_0 + sigma eps, evenly spaced in t from 1 to 0; the model's timestep is 2/pi atan2(sigma,
/// alpha). The history holds the noise predictions sigma x + alpha v.
class IpndmSampler final : public Sampler {
 public:
  /// Throws ConfigError for levels outside [0, 1].
  explicit IpndmSampler(const IpndmConfig& config);
  std::unique_ptr<SamplerRun> start(const RunOptions& options) const override;

 private:
  IpndmConfig config_;
};

}  // namespace daguerre::samplers

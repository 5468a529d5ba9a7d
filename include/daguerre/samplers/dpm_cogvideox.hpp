#pragma once

#include <memory>
#include <vector>

#include "daguerre/samplers/ddim_cogvideox.hpp"

namespace daguerre::samplers {

/// DPM-Solver++(2M) as a stochastic differential equation (arXiv:2211.01095, appendix) on CogVideoX's
/// schedule. Agrees with diffusers' CogVideoXDPMScheduler, which does not clip, whatever its configuration
/// says, and whose first step, and one that goes past the last timestep, are of first order.
///
/// A step of first order draws noise once, one of second order twice, of which the second draw is used: the
/// reference draws for a step of first order and then again.
class CogVideoXDpmSampler final : public Sampler {
 public:
  using Config = CogVideoXDdimConfig;  ///< the classes take the same keys

  /// Throws ConfigError.
  explicit CogVideoXDpmSampler(const Config& config);
  std::unique_ptr<SamplerRun> start(const RunOptions& options) const override;
  std::span<const float> alphas_cumprod() const override { return *rounded_; }

 private:
  Config config_;
  std::shared_ptr<const std::vector<double>> alphas_cumprod_;
  std::shared_ptr<const std::vector<float>> rounded_;
};

}  // namespace daguerre::samplers

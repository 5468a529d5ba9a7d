#pragma once

#include "daguerre/config/config.hpp"
#include "daguerre/samplers/sampler.hpp"
#include "daguerre/samplers/sigma_config.hpp"

namespace daguerre::samplers {

struct HeunConfig : SigmaSamplerConfig {
  HeunConfig() { schedule.beta_start = 0.00085, schedule.beta_end = 0.012; }
  OriginalLimits limits;  ///< clipping only

  /// Reads a `HeunDiscreteScheduler` configuration. Throws ConfigError.
  static HeunConfig from(const daguerre::Config& config);
};

/// Heun's second-order method: algorithm 1 of EDM, "Elucidating the Design Space of Diffusion-Based
/// Generative Models" (arXiv:2206.00364). Agrees with diffusers' HeunDiscreteScheduler.
///
/// n steps take 2n - 1 model calls: an Euler step (lines 4 and 5, `derivative` is d_i), then, except after
/// the last one, its correction with the derivative at the point it came to (lines 7 and 8). In the code
/// `sigma` is the paper's t_i; the tables list every level but the first and the last twice.
class HeunSampler final : public Sampler {
 public:
  /// Throws ConfigError for combinations that do not exist.
  explicit HeunSampler(const HeunConfig& config);
  std::unique_ptr<SamplerRun> start(const RunOptions& options) const override;
  std::span<const float> alphas_cumprod() const override { return schedule_.alphas_cumprod(); }
  int order() const override { return 2; }

 private:
  HeunConfig config_;
  NoiseSchedule schedule_;
};

}  // namespace daguerre::samplers

#pragma once

#include <memory>
#include <vector>

#include "daguerre/config/config.hpp"
#include "daguerre/samplers/noise_schedule.hpp"
#include "daguerre/samplers/prediction.hpp"
#include "daguerre/samplers/sampler.hpp"
#include "daguerre/samplers/timesteps.hpp"

namespace daguerre::samplers {

struct CogVideoXDdimConfig {
  CogVideoXDdimConfig();
  NoiseScheduleConfig schedule;
  PredictionType prediction_type = PredictionType::epsilon;
  TimestepSpacing timestep_spacing = TimestepSpacing::leading;
  int steps_offset = 0;
  /// Past the last step alphas_cumprod is 1, otherwise alphas_cumprod[0].
  bool set_alpha_to_one = true;
  /// The signal-to-noise ratio a / (1 - a) is divided by this.
  double snr_shift_scale = 3.0;

  /// Reads a `CogVideoXDDIMScheduler` configuration. Throws ConfigError.
  static CogVideoXDdimConfig from(const daguerre::Config& config);
};

/// DDIM without noise (arXiv:2010.02502, equation 12 with sigma_t = 0) on a schedule whose signal-to-noise
/// ratio is shifted, CogVideoX (arXiv:2408.06072). Agrees with diffusers' CogVideoXDDIMScheduler, which does
/// not clip, whatever its configuration says.
///
/// In the code a step is `sample_factor` x_t + `original_factor` x_0, which leaves x_0 at pure noise alone.
class CogVideoXDdimSampler final : public Sampler {
 public:
  /// Throws ConfigError.
  explicit CogVideoXDdimSampler(const CogVideoXDdimConfig& config);
  std::unique_ptr<SamplerRun> start(const RunOptions& options) const override;
  std::span<const float> alphas_cumprod() const override { return *rounded_; }

 private:
  CogVideoXDdimConfig config_;
  std::shared_ptr<const std::vector<double>> alphas_cumprod_;
  std::shared_ptr<const std::vector<float>> rounded_;
};

}  // namespace daguerre::samplers

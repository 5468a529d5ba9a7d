#pragma once

#include <optional>

#include "daguerre/config/config.hpp"
#include "daguerre/samplers/flow_sigmas.hpp"
#include "daguerre/samplers/sampler.hpp"
#include "daguerre/samplers/sigma_schedule.hpp"

/// Samplers of flow matching with straight paths, x_t = (1 - t) x_0 + t noise ("Flow Matching for Generative
/// Modeling", arXiv:2210.02747; "Flow Straight and Fast", arXiv:2209.03003; Stable Diffusion 3,
/// arXiv:2403.03206). The model predicts the velocity dx/dt = noise - x_0.
namespace daguerre::samplers {

struct FlowMatchConfig {
  int num_train_timesteps = 1000;
  /// arXiv:2403.03206, equation 23: t becomes shift t / (1 + (shift - 1) t).
  double shift = 1.0;
};

struct FlowMatchEulerConfig : FlowMatchConfig {
  /// The shift is made by RunOptions::mu, which must be given then, and `shift` has no meaning.
  bool use_dynamic_shifting = false;
  TimeShift time_shift = TimeShift::exponential;
  /// The line that `mu` follows.
  double base_shift = 0.5, max_shift = 1.15;
  int base_image_seq_len = 256, max_image_seq_len = 4096;
  /// The last level; the others are stretched (LTX-Video).
  std::optional<double> shift_terminal;
  /// Any but `lu`. With another than `timesteps` the levels run between the first and the last shifted one,
  /// or between `sigma_max` and `sigma_min`.
  SigmaSpacing sigma_spacing = SigmaSpacing::timesteps;
  std::optional<double> sigma_min, sigma_max;
  /// Levels and timesteps count from the noise: sigma is 1 for the finished sample (Mochi).
  bool invert_sigmas = false;
  /// Every step goes to the finished sample and back with new noise.
  bool stochastic_sampling = false;
  /// The model gets RunOptions::timesteps as they are, not shifted like the levels, as in diffusers before
  /// 0.40.
  bool keep_given_timesteps = false;
  /// RunOptions::sigmas are rounded to float32 before the shift, as in diffusers since 0.32.
  bool round_given_levels = true;

  /// Reads a `FlowMatchEulerDiscreteScheduler` configuration. Throws ConfigError.
  static FlowMatchEulerConfig from(const daguerre::Config& config);
  /// RunOptions::mu for a picture of `image_seq_len` tokens, as FLUX takes it: linear through
  /// (base_image_seq_len, base_shift) and (max_image_seq_len, max_shift).
  double mu(Index image_seq_len) const;
};

/// Euler's method. Agrees with diffusers' FlowMatchEulerDiscreteScheduler: the levels are RunOptions::sigmas,
/// or RunOptions::timesteps / num_train_timesteps, or evenly spaced from 1 to the smallest shifted training
/// level, and shifted (in the last case again). In the code `sigma` is t, the model's timestep
/// num_train_timesteps * sigma.
class FlowMatchEulerSampler final : public Sampler {
 public:
  /// Throws ConfigError for combinations that do not exist.
  explicit FlowMatchEulerSampler(const FlowMatchEulerConfig& config);
  std::unique_ptr<SamplerRun> start(const RunOptions& options) const override;
  std::optional<double> mu(Index image_seq_len) const override {
    return config_.use_dynamic_shifting ? std::optional(config_.mu(image_seq_len)) : std::nullopt;
  }
  bool follows_flow_sigmas() const override { return true; }

 private:
  FlowMatchEulerConfig config_;
};

/// Heun's method with EDM's churn, n steps in 2n - 1 model calls. Agrees with diffusers'
/// FlowMatchHeunDiscreteScheduler. Uses RunOptions::s_churn, s_tmin, s_tmax and s_noise.
class FlowMatchHeunSampler final : public Sampler {
 public:
  struct Config : FlowMatchConfig {
    /// Reads a `FlowMatchHeunDiscreteScheduler` configuration. Throws ConfigError.
    static Config from(const daguerre::Config& config);
  };

  explicit FlowMatchHeunSampler(const Config& config);
  std::unique_ptr<SamplerRun> start(const RunOptions& options) const override;
  int order() const override { return 2; }

 private:
  Config config_;
};

}  // namespace daguerre::samplers

#pragma once

#include <limits>

#include "daguerre/config/config.hpp"
#include "daguerre/samplers/lambda_config.hpp"
#include "daguerre/samplers/sampler.hpp"

namespace daguerre::samplers {

/// Which differential equation is solved. The `pp` forms integrate the prediction of x_0, the others that of
/// the noise.
enum class DpmAlgorithm {
  dpmsolver,        ///< DPM-Solver (arXiv:2206.00927)
  dpmsolver_pp,     ///< DPM-Solver++ (arXiv:2211.01095)
  sde_dpmsolver,    ///< DPM-Solver for the diffusion SDE (arXiv:2211.01095, appendix)
  sde_dpmsolver_pp  ///< DPM-Solver++ for the diffusion SDE
};

/// How the derivative enters a second-order step.
enum class DpmSolverType { midpoint, heun };

/// What both DPM-Solver samplers are configured by.
struct DpmSolverConfig : LambdaSamplerConfig {
  /// The forms without `pp` do not take flow_prediction.
  DpmAlgorithm algorithm = DpmAlgorithm::dpmsolver_pp;
  DpmSolverType solver_type = DpmSolverType::midpoint;
  /// sigma_min is that of the schedule.
  FinalSigma final_sigma = FinalSigma::zero;
  /// Timesteps whose lambda is below are left out; for the cosine schedule, whose end is nearly pure noise.
  double lambda_min_clipped = -std::numeric_limits<double>::infinity();
  /// The model gives twice the channels; the second half is not used.
  bool learned_variance = false;
};

struct DpmMultistepConfig : DpmSolverConfig {
  TimestepSpacing timestep_spacing = TimestepSpacing::linspace;
  int steps_offset = 0;
  bool lower_order_final = true;  ///< lower order in the last steps of runs with fewer than 15
  bool euler_at_final = false;    ///< first order in the last step
  /// Karras' and Lu's timesteps are rounded down and not to the nearest, as diffusers does since 0.33 with
  /// `squaredcos_cap_v2`.
  bool timesteps_down = false;

  /// Reads a `DPMSolverMultistepScheduler` configuration. Throws ConfigError.
  static DpmMultistepConfig from(const daguerre::Config& config);
};

/// Multistep DPM-Solver and DPM-Solver++ of order 1 to 3: algorithm 2 of arXiv:2211.01095 and its relatives.
/// Agrees with diffusers' DPMSolverMultistepScheduler.
///
/// In the code `lambda` is the half log-SNR, `h` its increment over a step, `m0, m1, m2` are the predictions
/// at the current and the two earlier levels, `r0, r1` the papers' step ratios, and D0, D1, D2 the estimates
/// of the prediction and its derivatives in lambda. The SDE forms draw noise at every step; `sde_dpmsolver`
/// has no step of order 3.
class DpmMultistepSampler final : public Sampler {
 public:
  /// Throws ConfigError for combinations that do not exist.
  explicit DpmMultistepSampler(const DpmMultistepConfig& config);
  std::unique_ptr<SamplerRun> start(const RunOptions& options) const override;
  std::span<const float> alphas_cumprod() const override { return schedule_.alphas_cumprod(); }

 private:
  DpmMultistepConfig config_;
  NoiseSchedule schedule_;
};

struct DpmSinglestepConfig : DpmSolverConfig {
  /// The last call is of first order also where the last group is whole; it always is when the final sigma is
  /// zero.
  bool lower_order_final = false;

  /// Reads a `DPMSolverSinglestepScheduler` configuration. Throws ConfigError.
  static DpmSinglestepConfig from(const daguerre::Config& config);
};

/// Singlestep DPM-Solver and DPM-Solver++ of order 1 to 3 (arXiv:2206.00927, algorithms 1 and 2;
/// arXiv:2211.01095, algorithm 1). Steps come in groups of rising order: the calls of a group start again
/// from the sample at its beginning. Agrees with diffusers' DPMSolverSinglestepScheduler; names as above.
class DpmSinglestepSampler final : public Sampler {
 public:
  /// Throws ConfigError for combinations that do not exist.
  explicit DpmSinglestepSampler(const DpmSinglestepConfig& config);
  std::unique_ptr<SamplerRun> start(const RunOptions& options) const override;
  std::span<const float> alphas_cumprod() const override { return schedule_.alphas_cumprod(); }

 private:
  DpmSinglestepConfig config_;
  NoiseSchedule schedule_;
};

}  // namespace daguerre::samplers

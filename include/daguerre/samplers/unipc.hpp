#pragma once

#include <vector>

#include "daguerre/samplers/noise_schedule.hpp"
#include "daguerre/samplers/prediction.hpp"
#include "daguerre/samplers/sampler.hpp"
#include "daguerre/samplers/sigma_schedule.hpp"
#include "daguerre/samplers/timesteps.hpp"
#include "daguerre/weights/config.hpp"

namespace daguerre::samplers {

/// The function B(h) of UniPC's steps.
enum class UniPcSolver {
  bh1,  ///< B(h) = h
  bh2   ///< B(h) = e^h - 1
};

struct UniPcConfig {
  NoiseScheduleConfig schedule;
  PredictionType prediction_type = PredictionType::epsilon;
  OriginalLimits limits;   ///< thresholding only, where x_0 is integrated
  int solver_order = 2;    ///< 1 to 3; the corrector's order is one higher
  bool predict_x0 = true;  ///< integrate the prediction of x_0 (data prediction), otherwise that of the noise
  UniPcSolver solver_type = UniPcSolver::bh2;
  bool lower_order_final = true;       ///< order 1 in the last step, at most 2 in the one before …
  std::vector<int> disable_corrector;  ///< steps whose result is not corrected, from 0
  SigmaSpacing sigma_spacing = SigmaSpacing::timesteps;  ///< or Karras
  FinalSigma final_sigma = FinalSigma::zero;
  TimestepSpacing timestep_spacing = TimestepSpacing::linspace;
  int steps_offset = 0;

  /// Reads a `UniPCMultistepScheduler` configuration. Throws ConfigError.
  static UniPcConfig from(const weights::Config& config);
};

/// UniPC, "UniPC: A Unified Predictor-Corrector Framework for Fast Sampling of Diffusion Models"
/// (arXiv:2302.04867): the predictor UniP (algorithms 2 and 6, equation 8) and the corrector UniC (algorithms
/// 1 and 5, equation 9), without the corrector's additional model call. Agrees with diffusers'
/// UniPCMultistepScheduler.
///
/// Call i first corrects the sample that step i - 1 predicted, now that there is a prediction at its level,
/// then predicts the next. In the code `h` is the step in lambda (its sign turned for data prediction),
/// `ratios` the r_k of the earlier levels, `moments` the right-hand side b_k = h phi_{k+1}(h) k! / B(h) of
/// the linear system whose matrix rows are r^{k-1} and whose solution holds the weights a_k.
class UniPcSampler final : public Sampler {
 public:
  /// Throws ConfigError for combinations that do not exist.
  explicit UniPcSampler(const UniPcConfig& config);
  std::unique_ptr<SamplerRun> start(const RunOptions& options) const override;
  std::span<const float> alphas_cumprod() const override { return schedule_.alphas_cumprod(); }

 private:
  UniPcConfig config_;
  NoiseSchedule schedule_;
};

}  // namespace daguerre::samplers

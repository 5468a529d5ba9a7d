#pragma once

#include <optional>
#include <vector>

#include "daguerre/config/config.hpp"
#include "daguerre/samplers/lambda_config.hpp"
#include "daguerre/samplers/sampler.hpp"

namespace daguerre::samplers {

/// The function B(h) of UniPC's steps.
enum class UniPcSolver {
  bh1,  ///< B(h) = h
  bh2   ///< B(h) = e^h - 1
};

/// `solver_order` is the predictor's, the corrector's is one higher.
struct UniPcConfig : LambdaSamplerConfig {
  /// Integrate the prediction of x_0 (data prediction), otherwise that of the noise, which knows neither
  /// thresholding nor flow_prediction.
  bool predict_x0 = true;
  UniPcSolver solver_type = UniPcSolver::bh2;
  bool lower_order_final = true;       ///< order 1 in the last step, at most 2 in the one before …
  std::vector<int> disable_corrector;  ///< steps whose result is not corrected, from 0
  /// sigma_min is that of the schedule or, with another spacing or flow levels, the smallest of these once
  /// more.
  FinalSigma final_sigma = FinalSigma::zero;
  /// The last flow level; the others are stretched.
  std::optional<double> shift_terminal;
  /// Flow levels are those of DPM-Solver, which begin below 1, and Karras' levels are taken as they are, as
  /// diffusers had them before 0.37.
  bool older_flow_levels = false;
  TimestepSpacing timestep_spacing = TimestepSpacing::linspace;
  int steps_offset = 0;

  /// Reads a `UniPCMultistepScheduler` configuration. Throws ConfigError.
  static UniPcConfig from(const daguerre::Config& config);
};

/// UniPC, "UniPC: A Unified Predictor-Corrector Framework for Fast Sampling of Diffusion Models"
/// (arXiv:2302.04867): the predictor UniP-p (algorithm 2) and the corrector UniC-p (algorithm 1), or their
/// forms for data prediction. The corrector makes no model call of its own. Agrees with diffusers'
/// UniPCMultistepScheduler.
///
/// Call i first corrects the sample that step i - 1 predicted, now that there is a prediction at its level,
/// then predicts the next. For noise prediction a step is
///   x_t = alpha_t / alpha_s x_s - sigma_t (e^h - 1) m_0 - sigma_t B(h) sum_k a_k (m_k - m_0) / r_k,
/// for data prediction sigma_t / sigma_s, alpha_t and -h take the places of the first factor, sigma_t and h
/// (`hh` in the code). `ratios` are the r_k = (lambda_k - lambda_s) / h, and the weights a_k solve
///   sum_k r_k^{j-1} a_k = h phi_{j+1}(h) j! / B(h)  (`moments`),  j = 1, 2, ...,
/// where phi_1(h) = (e^h - 1) / h and phi_{j+1}(h) = (phi_j(h) - 1 / j!) / h.
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

#pragma once

#include <memory>
#include <span>
#include <vector>

#include "daguerre/core/shape.hpp"

namespace daguerre::samplers {

/// How the variances beta_t of the forward process grow with t.
enum class BetaSchedule {
  linear,             ///< DDPM (arXiv:2006.11239)
  scaled_linear,      ///< latent diffusion: the square roots are linear
  squaredcos_cap_v2,  ///< improved DDPM (arXiv:2102.09672), equation 17, betas capped at 0.999
  sigmoid,            ///< GeoDiff (arXiv:2203.02923)
  exponential,        ///< alphas_cumprod = exp(-12 t), betas capped at 0.999
  laplace             ///< log-SNR with a Laplace density (arXiv:2407.03297, table 2), betas capped at 0.999
};
/// Whether a schedule runs from `beta_start` to `beta_end`.
bool has_ends(BetaSchedule schedule);

struct NoiseScheduleConfig {
  int num_train_timesteps = 1000;
  double beta_start = 0.0001;
  double beta_end = 0.02;
  BetaSchedule beta_schedule = BetaSchedule::linear;
  /// The betas themselves, replacing the four values above, when not empty.
  std::vector<double> trained_betas = {};
  bool rescale_betas_zero_snr = false;
};

/// The betas in float32, rounded as PyTorch rounds them, without the zero-SNR rescaling. Throws ConfigError
/// for values that leave [0, 1] or a number of timesteps below 1.
std::vector<float> make_betas(const NoiseScheduleConfig& config);

/// Betas whose last alphas_cumprod is zero (arXiv:2305.08891, algorithm 1).
std::vector<float> rescale_zero_terminal_snr(std::span<const float> betas);

/// alphas_cumprod: the running product of 1 - beta, accumulated in double and rounded to float32 at each step
/// (PyTorch's cumprod).
std::vector<float> cumulative_alphas(std::span<const float> betas);

/// What becomes of the last alphas_cumprod when it is rescaled to zero.
enum class TerminalAlpha {
  exact,  ///< stays zero (DDPM, DDIM)
  finite  ///< becomes 2^-24, so that sigma is 4096 and not infinite (Euler, DPM-Solver)
};

/// The forward process x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) noise with a_t = alphas_cumprod[t]. Immutable;
/// copies share the tables.
class NoiseSchedule {
 public:
  NoiseSchedule(const NoiseScheduleConfig& config, TerminalAlpha terminal);

  int num_train_timesteps() const noexcept { return static_cast<int>(tables_->alphas_cumprod.size()); }
  std::span<const float> betas() const noexcept { return tables_->betas; }
  std::span<const float> alphas_cumprod() const noexcept { return tables_->alphas_cumprod; }
  /// sqrt((1 - a_t) / a_t) of every training timestep, ascending.
  std::span<const float> sigmas() const noexcept { return tables_->sigmas; }

 private:
  struct Tables {
    std::vector<float> betas, alphas_cumprod, sigmas;
  };
  std::shared_ptr<const Tables> tables_;
};

}  // namespace daguerre::samplers

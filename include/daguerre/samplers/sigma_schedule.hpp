#pragma once

#include <span>
#include <vector>

namespace daguerre::samplers {

/// How the noise levels between the largest and the smallest sigma are spaced.
enum class SigmaSpacing {
  timesteps,    ///< those of evenly spaced timesteps
  karras,       ///< EDM (arXiv:2206.00364), equation 5
  exponential,  ///< evenly spaced logarithms
  beta,         ///< quantiles of Beta(0.6, 0.6) (arXiv:2407.12173)
  lu            ///< evenly spaced half log-SNR (DPM-Solver, arXiv:2206.00927, section 3.4)
};

/// What the last entry of the sigma table is, the level of the finished sample.
enum class FinalSigma { zero, sigma_min };

/// How exponential and beta levels and their timesteps are rounded.
enum class LevelForm {
  float64,  ///< levels in double, as diffusers has them since 0.32
  float32   ///< levels in float32, as PyTorch gave them before
};

/// `steps` noise levels from sigma_max down to sigma_min, for every spacing but `timesteps` and `lu` (then
/// ArgumentError). `rho` belongs to `karras`.
std::vector<double> spaced_sigmas(SigmaSpacing spacing, double sigma_min, double sigma_max, int steps,
                                  double rho = 7.0, LevelForm form = LevelForm::float64);
/// The same for `karras` and `exponential` in float32, as diffusers' EDM schedulers compute them.
std::vector<float> spaced_sigmas_float32(SigmaSpacing spacing, double sigma_min, double sigma_max, int steps,
                                         double rho);
/// The levels of `lu`, from the ends of a table of logarithms.
std::vector<double> lu_sigmas(double log_sigma_min, double log_sigma_max, int steps);

/// The table (one value for each training timestep) at fractional timesteps, linearly interpolated and
/// constant beyond its ends.
std::vector<double> interpolate(std::span<const double> timesteps, std::span<const float> table);

/// Natural logarithms in float32, rounded as NumPy's vectorised log rounds them. Timesteps that are derived
/// from sigmas amplify the last bit of these logarithms about a thousandfold.
std::vector<float> log_sigma_table(std::span<const float> sigmas);

enum class InterpolationPrecision { float32, float64 };

/// The fractional training timestep whose log-sigma is log(sigma), by linear interpolation in the ascending
/// table.
double sigma_to_timestep(double sigma, std::span<const float> log_sigmas, InterpolationPrecision precision);
/// The timesteps of levels that `spaced_sigmas` made. diffusers interpolates in float32, but before 0.32 in
/// float64 for exponential and beta levels.
std::vector<double> sigmas_to_timesteps(std::span<const double> sigmas, std::span<const float> log_sigmas,
                                        SigmaSpacing spacing, LevelForm form = LevelForm::float64);

/// `sigmas` with the final level appended, in float32.
std::vector<float> with_final_sigma(std::span<const double> sigmas, FinalSigma type, float sigma_min);

/// Each level twice but the first and the last, as methods with two model calls a step list them.
std::vector<float> repeat_inner(std::span<const float> sigmas);

/// The coefficients of x_t = alpha_t x_0 + sigma_t eps at one noise level.
struct NoiseLevel {
  /// Of the variance-preserving process, from sigma = sigma_t / alpha_t.
  explicit NoiseLevel(float sigma);
  NoiseLevel(float alpha_t, float sigma_t);
  float alpha;   ///< alpha_t = 1 / sqrt(sigma^2 + 1)
  float sigma;   ///< sigma_t = sigma * alpha_t
  float lambda;  ///< log(alpha_t) - log(sigma_t); infinite for sigma = 0
};

}  // namespace daguerre::samplers

#include "daguerre/samplers/sigma_schedule.hpp"

#include <algorithm>
#include <cmath>

#include "daguerre/core/error.hpp"
#include "samplers/numerics.hpp"

namespace daguerre::samplers {

std::vector<double> spaced_sigmas(SigmaSpacing spacing, double sigma_min, double sigma_max, int steps,
                                  double rho, LevelForm form) {
  std::vector<double> result;
  switch (spacing) {
    case SigmaSpacing::karras: {
      const double low = std::pow(sigma_min, 1.0 / rho), high = std::pow(sigma_max, 1.0 / rho);
      for (const double ramp : numerics::numpy_linspace(0.0, 1.0, steps))
        result.push_back(std::pow(high + ramp * (low - high), rho));
      break;
    }
    case SigmaSpacing::exponential: {
      const double high = std::log(sigma_max), low = std::log(sigma_min);
      if (form == LevelForm::float32)
        for (const float log_sigma : numerics::torch_linspace(high, low, steps))
          result.push_back(std::exp(log_sigma));
      else
        for (const double log_sigma : numerics::numpy_linspace(high, low, steps))
          result.push_back(std::exp(log_sigma));
      break;
    }
    case SigmaSpacing::beta:
      for (const double ramp : numerics::numpy_linspace(0.0, 1.0, steps)) {
        const double quantile = numerics::symmetric_beta_quantile(1.0 - ramp, 0.6);
        const double sigma = sigma_min + quantile * (sigma_max - sigma_min);
        result.push_back(form == LevelForm::float32 ? static_cast<float>(sigma) : sigma);
      }
      break;
    case SigmaSpacing::timesteps:
    case SigmaSpacing::lu:
      throw ArgumentError("sigma schedule", "this spacing does not follow from the ends of the sigmas alone");
  }
  return result;
}

std::vector<float> spaced_sigmas_float32(SigmaSpacing spacing, double sigma_min, double sigma_max, int steps,
                                         double rho) {
  std::vector<float> result;
  if (spacing == SigmaSpacing::exponential) {
    // Ascending first: torch.linspace rounds differently from its other end.
    for (const float log_sigma : numerics::torch_linspace(std::log(sigma_min), std::log(sigma_max), steps))
      result.push_back(std::exp(log_sigma));
    std::reverse(result.begin(), result.end());
    return result;
  }
  const double low = std::pow(sigma_min, 1.0 / rho), high = std::pow(sigma_max, 1.0 / rho);
  for (const float ramp : numerics::torch_linspace(0.0, 1.0, steps))
    result.push_back(
        std::pow(static_cast<float>(high) + ramp * static_cast<float>(low - high), static_cast<float>(rho)));
  return result;
}

std::vector<double> lu_sigmas(double log_sigma_min, double log_sigma_max, int steps) {
  std::vector<double> result;
  for (const double ramp : numerics::numpy_linspace(0.0, 1.0, steps))
    result.push_back(std::exp(log_sigma_max + ramp * (log_sigma_min - log_sigma_max)));
  return result;
}

std::vector<double> interpolate(std::span<const double> timesteps, std::span<const float> table) {
  std::vector<double> result;
  const double last = static_cast<double>(table.size() - 1);
  for (const double t : timesteps) {
    const double inside = std::clamp(t, 0.0, last);
    const auto below = static_cast<std::size_t>(inside);
    const double low = table[below];
    result.push_back(inside == last ? low : (table[below + 1] - low) * (inside - std::floor(inside)) + low);
  }
  return result;
}

std::vector<float> log_sigma_table(std::span<const float> sigmas) {
  std::vector<float> result(sigmas.size());
  std::transform(sigmas.begin(), sigmas.end(), result.begin(), numerics::numpy_log);
  return result;
}

namespace {

template <class Real>
double timestep_in_table(double sigma, std::span<const float> log_sigmas) {
  const auto log_sigma = static_cast<Real>(std::log(std::max(sigma, 1e-10)));
  // The last entry that is not above: with zero terminal SNR the table's end may lie below its neighbour.
  const auto below = std::find_if(log_sigmas.rbegin(), log_sigmas.rend(),
                                  [log_sigma](float entry) { return entry <= log_sigma; });
  const auto last = static_cast<std::ptrdiff_t>(log_sigmas.size()) - 2;
  const std::ptrdiff_t index = std::clamp<std::ptrdiff_t>(log_sigmas.rend() - below - 1, 0, last);
  const Real low = log_sigmas[static_cast<std::size_t>(index)];
  const Real high = log_sigmas[static_cast<std::size_t>(index) + 1];
  const Real weight = std::clamp((low - log_sigma) / (low - high), Real(0), Real(1));
  return static_cast<double>(Real(1) - weight) * static_cast<double>(index) +
         static_cast<double>(weight) * static_cast<double>(index + 1);
}

}  // namespace

double sigma_to_timestep(double sigma, std::span<const float> log_sigmas, InterpolationPrecision precision) {
  if (log_sigmas.size() < 2) return 0.0;
  return precision == InterpolationPrecision::float32 ? timestep_in_table<float>(sigma, log_sigmas)
                                                      : timestep_in_table<double>(sigma, log_sigmas);
}

std::vector<double> sigmas_to_timesteps(std::span<const double> sigmas, std::span<const float> log_sigmas,
                                        SigmaSpacing spacing, LevelForm form) {
  const bool wide =
      form == LevelForm::float32 && (spacing == SigmaSpacing::exponential || spacing == SigmaSpacing::beta);
  std::vector<double> result;
  for (const double sigma : sigmas)
    result.push_back(sigma_to_timestep(
        sigma, log_sigmas, wide ? InterpolationPrecision::float64 : InterpolationPrecision::float32));
  return result;
}

std::vector<float> with_final_sigma(std::span<const double> sigmas, FinalSigma type, float sigma_min) {
  std::vector<float> result;
  for (const double sigma : sigmas) result.push_back(static_cast<float>(sigma));
  result.push_back(type == FinalSigma::zero ? 0.0f : sigma_min);
  return result;
}

std::vector<float> repeat_inner(std::span<const float> sigmas) {
  std::vector<float> result;
  for (std::size_t k = 0; k < sigmas.size(); ++k)
    result.insert(result.end(), k == 0 || k + 1 == sigmas.size() ? 1 : 2, sigmas[k]);
  return result;
}

NoiseLevel::NoiseLevel(float ratio)
    : NoiseLevel(1.0f / std::sqrt(ratio * ratio + 1.0f), ratio * (1.0f / std::sqrt(ratio * ratio + 1.0f))) {}

NoiseLevel::NoiseLevel(float alpha_t, float sigma_t)
    : alpha(alpha_t), sigma(sigma_t), lambda(std::log(alpha_t) - std::log(sigma_t)) {}

}  // namespace daguerre::samplers

#include "samplers/cogvideox_run.hpp"

#include <cmath>
#include <utility>

#include "samplers/numerics.hpp"
#include "samplers/runs.hpp"

namespace daguerre::samplers {
namespace {

/// Divides the signal-to-noise ratio by `scale` and, with `zero_snr`, applies arXiv:2305.08891, algorithm 1,
/// to the table itself.
template <class Real>
std::vector<double> shifted_alphas(std::vector<Real> alphas, double scale, bool zero_snr) {
  for (Real& a : alphas) a = a / (static_cast<Real>(scale) + static_cast<Real>(1.0 - scale) * a);
  if (zero_snr) {
    const Real first = std::sqrt(alphas.front()), last = std::sqrt(alphas.back());
    for (Real& a : alphas) {
      const Real root = (std::sqrt(a) - last) * (first / (first - last));
      a = root * root;
    }
  }
  return {alphas.begin(), alphas.end()};
}

std::vector<double> shifted_alphas(const CogVideoXDdimConfig& config) {
  const auto& schedule = config.schedule;
  const auto betas = make_betas(schedule);  // also checks the values
  if (!schedule.trained_betas.empty() || schedule.beta_schedule != BetaSchedule::scaled_linear)
    return shifted_alphas(cumulative_alphas(betas), config.snr_shift_scale, schedule.rescale_betas_zero_snr);
  // The reference computes this schedule alone in double.
  std::vector<double> alphas;
  double product = 1.0;
  for (const double root : numerics::numpy_linspace(
           std::sqrt(schedule.beta_start), std::sqrt(schedule.beta_end), schedule.num_train_timesteps))
    alphas.push_back(product *= 1.0 - root * root);
  return shifted_alphas(std::move(alphas), config.snr_shift_scale, schedule.rescale_betas_zero_snr);
}

}  // namespace

std::vector<double> cogvideox_alphas(const CogVideoXDdimConfig& config, const char* who) {
  if (!(config.snr_shift_scale > 0.0 && std::isfinite(config.snr_shift_scale)))
    throw ConfigError(
        who, "snr_shift_scale is " + std::to_string(config.snr_shift_scale) + ", expected a positive number");
  return shifted_alphas(config);
}

CogVideoXRun::CogVideoXRun(const char* who, const CogVideoXDdimConfig& config,
                           std::shared_ptr<const std::vector<double>> alphas, const RunOptions& options)
    : SamplerRun(who),
      config_(config),
      alphas_(std::move(alphas)),
      stride_(config.schedule.num_train_timesteps / options.steps) {
  for (const double t : spaced_timesteps({.spacing = config.timestep_spacing,
                        .num_train_timesteps = config.schedule.num_train_timesteps,
                        .usable_timesteps = config.schedule.num_train_timesteps,
                        .steps = options.steps,
                        .steps_offset = config.steps_offset}))
    if (t >= 0.0) timesteps_.push_back(static_cast<float>(t));
  begin(options.first_call);
  for (Index i = options.first_call; i < calls(); ++i)
    if (alpha(timestep(i)) == 0.0 && config.prediction_type == PredictionType::epsilon)
      throw ArgumentError(who, "timestep " + std::to_string(timestep(i)) +
                                   " is pure noise (rescale_betas_zero_snr), from which an epsilon "
                                   "prediction cannot give a sample; v_prediction can");
}

double CogVideoXRun::alpha(int t) const {
  if (t < 0) return config_.set_alpha_to_one ? 1.0 : alphas_->front();
  if (static_cast<std::size_t>(t) >= alphas_->size())
    throw ArgumentError(name(), "timestep " + std::to_string(t) + " is beyond the training timesteps");
  return (*alphas_)[static_cast<std::size_t>(t)];
}

Mixture CogVideoXRun::mixture(int t) const {
  return {.alpha = static_cast<float>(std::sqrt(alpha(t))),
          .sigma = static_cast<float>(std::sqrt(1.0 - alpha(t)))};
}

}  // namespace daguerre::samplers

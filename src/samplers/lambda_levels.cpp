#include "samplers/lambda_levels.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "samplers/flow_levels.hpp"
#include "samplers/numerics.hpp"

namespace daguerre::samplers {

std::vector<double> flow_levels(int num_train_timesteps, int steps, double shift) {
  std::vector<double> result;
  for (const double alpha : numerics::numpy_linspace(1.0, 1.0 / num_train_timesteps, steps + 1))
    result.push_back(shifted_sigma(1.0 - alpha, shift));
  std::reverse(result.begin(), result.end());
  result.pop_back();
  return result;
}

std::vector<double> flow_timesteps(std::span<const double> sigmas, int num_train_timesteps) {
  std::vector<double> result;
  for (const double sigma : sigmas) result.push_back(std::trunc(sigma * num_train_timesteps));
  return result;
}

void check_flow_levels(std::string_view who, std::span<const double> sigmas) {
  for (const double sigma : sigmas)
    if (!(sigma > 0.0 && sigma <= 1.0))
      throw ArgumentError(who, "a noise level is " + std::to_string(sigma) +
                                   ", but use_flow_sigmas needs levels above 0 and up to 1; set sigma_max, "
                                   "or turn off the Karras, exponential, beta or Lu spacing");
}

Levels lambda_levels(std::string_view who, const NoiseSchedule& schedule, const LambdaSamplerConfig& config,
                     std::vector<double> timesteps, const RunOptions& options, ToInteger to_integer) {
  const bool spaced = config.sigma_spacing != SigmaSpacing::timesteps;
  if (!options.timesteps.empty() && (spaced || config.flow.use))
    throw ArgumentError(who, "custom timesteps do not go together with a spacing of sigmas or flow levels");
  const double shift = config.flow.use ? flow_shift(who, config.flow, options.mu) : 1.0;
  const auto table = schedule.sigmas();
  Levels levels;
  if (spaced) {
    const auto spacing = config.sigma_spacing;
    const auto log_sigmas = log_sigma_table(table);
    levels.sigmas = spacing == SigmaSpacing::lu
                        ? lu_sigmas(log_sigmas.front(), log_sigmas.back(), options.steps)
                        : spaced_sigmas(spacing, config.sigma_min.value_or(table.front()),
                                        config.sigma_max.value_or(table.back()), options.steps);
    levels.timesteps = sigmas_to_timesteps(levels.sigmas, log_sigmas, spacing);
    const bool nearest =
        to_integer == ToInteger::nearest && (spacing == SigmaSpacing::karras || spacing == SigmaSpacing::lu);
    for (double& t : levels.timesteps) t = nearest ? std::nearbyint(t) : std::trunc(t);
  } else if (config.flow.use) {
    levels.sigmas = flow_levels(schedule.num_train_timesteps(), options.steps, shift);
    levels.timesteps = flow_timesteps(levels.sigmas, schedule.num_train_timesteps());
  } else {
    for (double& t : timesteps) t = std::trunc(t);
    levels.sigmas = interpolate(timesteps, table);
    levels.timesteps = std::move(timesteps);
  }
  if (config.flow.use) check_flow_levels(who, levels.sigmas);
  return levels;
}

}  // namespace daguerre::samplers

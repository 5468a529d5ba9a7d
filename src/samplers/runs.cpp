#include "samplers/runs.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "daguerre/core/eigen.hpp"

namespace daguerre::samplers {
namespace {

void check_descending(std::string_view who, const char* what, std::span<const double> values,
                      double largest) {
  for (std::size_t k = 0; k < values.size(); ++k)
    if (!(values[k] >= 0.0 && values[k] <= largest) || (k > 0 && values[k] >= values[k - 1]))
      throw ArgumentError(who, std::string("custom ") + what + " must descend from at most " +
                                   std::to_string(largest) + " to at least 0; found " +
                                   std::to_string(values[k]) + " at position " + std::to_string(k));
}

}  // namespace

void check_run(std::string_view who, const RunOptions& options, int num_train_timesteps,
               CustomTables custom) {
  if (!options.timesteps.empty() && !custom.timesteps)
    throw ArgumentError(who, "this sampler does not take custom timesteps");
  if (!options.sigmas.empty() && !custom.sigmas)
    throw ArgumentError(who, "this sampler does not take custom sigmas");
  if (!options.timesteps.empty() && !options.sigmas.empty()) {
    if (!custom.both)
      throw ArgumentError(who, "custom timesteps and custom sigmas were given; one of them decides");
    if (options.timesteps.size() != options.sigmas.size())
      throw ArgumentError(who, std::to_string(options.timesteps.size()) + " custom timesteps and " +
                                   std::to_string(options.sigmas.size()) + " custom sigmas were given");
  }
  check_descending(who, "timesteps", options.timesteps,
                   custom.largest_timestep.value_or(num_train_timesteps - 1));
  check_descending(who, "sigmas", options.sigmas, std::numeric_limits<float>::max());
  if (options.timesteps.empty() && options.sigmas.empty())
    check_steps(who, options.steps, num_train_timesteps);
}

std::vector<double> DiscreteRun::evenly_spaced(TimestepSpacing spacing, int steps, int steps_offset) const {
  auto timesteps = spaced_timesteps({.spacing = spacing,
                                     .num_train_timesteps = schedule_.num_train_timesteps(),
                                     .usable_timesteps = schedule_.num_train_timesteps(),
                                     .steps = steps,
                                     .steps_offset = steps_offset});
  if (timesteps.back() < 0.0) timesteps.pop_back();
  return timesteps;
}

void DiscreteRun::prepare(std::span<const double> timesteps, Index first_call, PredictionType prediction_type,
                          const OriginalLimits& limits) {
  for (const double t : timesteps) {
    if (t < 0.0 || t >= schedule_.num_train_timesteps())
      throw ArgumentError(name(), "these steps use timestep " + std::to_string(static_cast<int>(t)) +
                                      ", the model was trained on 0 to " +
                                      std::to_string(schedule_.num_train_timesteps() - 1) +
                                      "; lower steps or steps_offset");
    timesteps_.push_back(static_cast<float>(t));
  }
  begin(first_call);
  if (prediction_type != PredictionType::epsilon || (limits.clip_sample && !limits.thresholding)) return;
  for (Index i = first_call; i < calls(); ++i)
    if (alpha_prod(timestep(i)) == 0.0f)
      throw ArgumentError(name(),
                          "timestep " + std::to_string(timestep(i)) +
                              " is pure noise (rescale_betas_zero_snr), from which an epsilon prediction "
                              "cannot give a sample; v_prediction can");
}

float DiscreteRun::alpha_prod(int t, float beyond) const {
  if (t < 0) return beyond;
  const auto table = schedule_.alphas_cumprod();
  if (static_cast<std::size_t>(t) >= table.size())
    throw ArgumentError(name(), "timestep " + std::to_string(t) + " is beyond the training timesteps");
  return table[static_cast<std::size_t>(t)];
}

Mixture DiscreteRun::mixture(int t) const {
  const float a = alpha_prod(t);
  return {.alpha = std::sqrt(a), .sigma = std::sqrt(1.0f - a)};
}

Tensor<float> DiscreteRun::noised(const Tensor<float>& original, const Tensor<float>& noise, Index i) const {
  return mix(original, noise, mixture(timestep(i)));
}

std::vector<double> sigma_timesteps(const NoiseSchedule& schedule, TimestepSpacing spacing, int steps,
                                    int steps_offset) {
  auto timesteps = spaced_timesteps({.spacing = spacing,
                                     .num_train_timesteps = schedule.num_train_timesteps(),
                                     .usable_timesteps = schedule.num_train_timesteps(),
                                     .steps = steps,
                                     .steps_offset = steps_offset,
                                     .rounded = false});
  for (double& t : timesteps) t = static_cast<float>(t);
  return timesteps;
}

std::vector<float> repeat_later(std::span<const double> timesteps) {
  std::vector<float> result;
  for (std::size_t k = 0; k < timesteps.size(); ++k)
    result.insert(result.end(), k == 0 ? 1 : 2, static_cast<float>(timesteps[k]));
  return result;
}

Levels sigma_levels(std::string_view who, const NoiseSchedule& schedule, const SigmaSamplerConfig& config,
                    const RunOptions& options) {
  const bool spaced = config.sigma_spacing != SigmaSpacing::timesteps;
  if (!options.timesteps.empty() && spaced)
    throw ArgumentError(who, "custom timesteps do not go together with a spacing of sigmas");
  Levels levels;
  levels.timesteps = options.timesteps.empty() ? sigma_timesteps(schedule, config.timestep_spacing,
                                                                 options.steps, config.steps_offset)
                                               : options.timesteps;
  levels.sigmas = interpolate(levels.timesteps, schedule.sigmas());
  if (spaced) space_sigmas(levels, schedule, config, options.steps);
  return levels;
}

void space_sigmas(Levels& levels, const NoiseSchedule& schedule, const SigmaSamplerConfig& config,
                  int steps) {
  levels.sigmas =
      spaced_sigmas(config.sigma_spacing, config.sigma_min.value_or(levels.sigmas.back()),
                    config.sigma_max.value_or(levels.sigmas.front()), steps, 7.0, config.level_form);
  levels.timesteps = sigmas_to_timesteps(levels.sigmas, log_sigma_table(schedule.sigmas()),
                                         config.sigma_spacing, config.level_form);
}

AncestralSplit ancestral_split(float from, float to) {
  // Neither difference is negative but for rounding.
  const float up = std::sqrt(std::max(to * to * (from * from - to * to) / (from * from), 0.0f));
  return {.down = std::sqrt(std::max(to * to - up * up, 0.0f)), .up = up};
}

Tensor<float> euler_step(const Tensor<float>& x, const Tensor<float>& original, float sigma, float to) {
  Tensor<float> result(x.shape());
  array(result) = array(x) + (array(x) - array(original)) / sigma * (to - sigma);
  return result;
}

void SigmaRun::set_init_noise_sigma(bool leading) {
  const float largest = *std::max_element(sigmas_.begin(), sigmas_.end());
  init_noise_sigma_ = leading ? std::sqrt(largest * largest + 1.0f) : largest;
}

SigmaRun::Churned SigmaRun::churn(const Tensor<float>& sample, float level, std::size_t levels,
                                  const RunOptions& options, const NoiseSource& noise) const {
  const bool churns = options.s_tmin <= level && level <= options.s_tmax;
  const double gamma =
      churns ? std::min(options.s_churn / static_cast<double>(levels), std::numbers::sqrt2 - 1.0) : 0.0;
  if (!(gamma > 0.0)) return {sample, level};
  const float sigma_hat = level * static_cast<float>(gamma + 1.0);
  Tensor<float> x(sample.shape());
  array(x) = array(sample) + array(draw(noise, sample.shape())) * static_cast<float>(options.s_noise) *
                                 std::sqrt(sigma_hat * sigma_hat - level * level);
  return {x, sigma_hat};
}

Tensor<float> SigmaRun::scale(const Tensor<float>& sample, Index i) const {
  const float at = call_sigma(i);
  Tensor<float> result(sample.shape());
  array(result) = array(sample) / std::sqrt(at * at + 1.0f);
  return result;
}

Tensor<float> SigmaRun::noised(const Tensor<float>& original, const Tensor<float>& noise, Index i) const {
  return mix(original, noise, {.alpha = 1.0f, .sigma = call_sigma(i)});
}

void check_two_stage_begin(std::string_view who, const RunOptions& options) {
  if (options.first_call % 2 != 0)
    throw ArgumentError(who, "a run cannot begin at call " + std::to_string(options.first_call) +
                                 ", the second of a step's two model calls");
}

Tensor<float> HeunStages::predict(const Tensor<float>& x, Tensor<float> derivative, float dt) {
  x_ = x.clone();
  derivative_ = std::move(derivative);
  dt_ = dt;
  Tensor<float> result(x.shape());
  array(result) = array(x) + array(std::as_const(derivative_)) * dt;
  return result;
}

Tensor<float> HeunStages::correct(const Tensor<float>& derivative) {
  Tensor<float> result(x_.shape());
  array(result) =
      array(std::as_const(x_)) + (array(std::as_const(derivative_)) + array(derivative)) / 2.0f * dt_;
  return result;
}

}  // namespace daguerre::samplers

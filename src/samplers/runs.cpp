#include "samplers/runs.hpp"

#include <algorithm>
#include <cmath>

#include "daguerre/tensor/eigen.hpp"

namespace daguerre::samplers {

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

Tensor<float> DiscreteRun::noised(const Tensor<float>& original, const Tensor<float>& noise, Index i) const {
  const float a = alpha_prod(timestep(i));
  Tensor<float> result(original.shape());
  array(result) = std::sqrt(a) * array(original) + std::sqrt(1.0f - a) * array(noise);
  return result;
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

void SigmaRun::set_init_noise_sigma(bool leading) {
  const float largest = *std::max_element(sigmas_.begin(), sigmas_.end());
  init_noise_sigma_ = leading ? std::sqrt(largest * largest + 1.0f) : largest;
}

Tensor<float> SigmaRun::scale(const Tensor<float>& sample, Index i) const {
  Tensor<float> result(sample.shape());
  array(result) = array(sample) / std::sqrt(sigma(i) * sigma(i) + 1.0f);
  return result;
}

Tensor<float> SigmaRun::noised(const Tensor<float>& original, const Tensor<float>& noise, Index i) const {
  Tensor<float> result(original.shape());
  array(result) = array(original) + array(noise) * sigma(i);
  return result;
}

}  // namespace daguerre::samplers

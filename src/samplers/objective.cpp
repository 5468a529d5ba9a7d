#include "daguerre/samplers/objective.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "daguerre/core/eigen.hpp"

namespace daguerre::samplers {
namespace {

constexpr const char* objective_name = "training objective";

void check_batch(const Tensor<float>& a, const Tensor<float>& b) {
  if (a.rank() == 0 || !(a.shape() == b.shape()))
    throw ArgumentError(objective_name, "the tensors have shapes " + to_string(a.shape()) + " and " +
                                            to_string(b.shape()) +
                                            ", expected two batches of the same shape");
}

void check_count(std::size_t found, const Tensor<float>& batch, const char* what) {
  if (static_cast<Index>(found) != batch.dim(0))
    throw ArgumentError(objective_name, std::to_string(found) + " " + what + " for a batch of " +
                                            std::to_string(batch.dim(0)) + " samples");
}

float alpha_prod(const NoiseSchedule& schedule, int t) {
  if (t < 0 || t >= schedule.num_train_timesteps())
    throw ArgumentError(objective_name, "timestep " + std::to_string(t) + ", expected 0 to " +
                                            std::to_string(schedule.num_train_timesteps() - 1));
  return schedule.alphas_cumprod()[static_cast<std::size_t>(t)];
}

Mixture mixture(const NoiseSchedule& schedule, int t) {
  const float a = alpha_prod(schedule, t);
  return {.alpha = std::sqrt(a), .sigma = std::sqrt(1.0f - a)};
}

/// `function(n)` gives sample n, `[1, ...]`, of the result.
template <class Function>
Tensor<float> for_each_sample(const Shape& shape, Function&& function) {
  Tensor<float> result(shape);
  for (Index n = 0; n < shape[0]; ++n) {
    const Tensor<float> made = function(n);
    array(result, n, n + 1) = array(made);
  }
  return result;
}

/// The paths of a noise schedule are curved.
void check_type(PredictionType type) {
  if (type == PredictionType::flow_prediction)
    throw ArgumentError(objective_name, "flow_prediction belongs to straight paths; see straight_velocity");
}

/// `function(a_n, b_n, mixture of timestep n)` for each sample.
template <class Function>
Tensor<float> combine(const NoiseSchedule& schedule, const Tensor<float>& a, const Tensor<float>& b,
                      std::span<const int> timesteps, Function&& function) {
  check_batch(a, b);
  check_count(timesteps.size(), a, "timesteps");
  return for_each_sample(a.shape(), [&](Index n) {
    return function(a.slice(n, n + 1), b.slice(n, n + 1),
                    mixture(schedule, timesteps[static_cast<std::size_t>(n)]));
  });
}

}  // namespace

Tensor<float> add_noise(const NoiseSchedule& schedule, const Tensor<float>& original,
                        const Tensor<float>& noise, std::span<const int> timesteps) {
  return combine(schedule, original, noise, timesteps,
                 [](const auto& x, const auto& eps, Mixture at) { return mix(x, eps, at); });
}

Tensor<float> velocity(const NoiseSchedule& schedule, const Tensor<float>& original,
                       const Tensor<float>& noise, std::span<const int> timesteps) {
  return combine(schedule, original, noise, timesteps,
                 [](const auto& x, const auto& eps, Mixture at) { return velocity(x, eps, at); });
}

Tensor<float> training_target(PredictionType type, const NoiseSchedule& schedule,
                              const Tensor<float>& original, const Tensor<float>& noise,
                              std::span<const int> timesteps) {
  check_type(type);
  if (type == PredictionType::v_prediction) return velocity(schedule, original, noise, timesteps);
  check_batch(original, noise);
  check_count(timesteps.size(), original, "timesteps");
  return (type == PredictionType::epsilon ? noise : original).clone();
}

Tensor<float> convert_prediction(PredictionType from, PredictionType to, const NoiseSchedule& schedule,
                                 const Tensor<float>& prediction, const Tensor<float>& noisy,
                                 std::span<const int> timesteps) {
  check_type(from);
  check_type(to);
  return combine(schedule, prediction, noisy, timesteps,
                 [&](const auto& output, const auto& x, Mixture at) -> Tensor<float> {
                   if (from == to) return output.clone();
                   if (to == PredictionType::sample) return predict_original(from, output, x, at);
                   const auto epsilon = predict_epsilon(from, output, x, at);
                   if (to == PredictionType::epsilon) return epsilon;
                   return velocity(predict_original(from, output, x, at), epsilon, at);
                 });
}

Tensor<float> add_noise_straight(const Tensor<float>& original, const Tensor<float>& noise,
                                 std::span<const float> sigmas) {
  check_batch(original, noise);
  check_count(sigmas.size(), original, "noise levels");
  return for_each_sample(original.shape(), [&](Index n) {
    const float sigma = sigmas[static_cast<std::size_t>(n)];
    return mix(original.slice(n, n + 1), noise.slice(n, n + 1), {.alpha = 1.0f - sigma, .sigma = sigma});
  });
}

Tensor<float> straight_velocity(const Tensor<float>& original, const Tensor<float>& noise) {
  check_batch(original, noise);
  return mix(noise, original, {.alpha = 1.0f, .sigma = -1.0f});
}

std::vector<float> signal_to_noise(const NoiseSchedule& schedule, std::span<const int> timesteps) {
  std::vector<float> result;
  for (const int t : timesteps) {
    const float a = alpha_prod(schedule, t);
    result.push_back(a / (1.0f - a));
  }
  return result;
}

std::vector<float> min_snr_weights(PredictionType type, const NoiseSchedule& schedule,
                                   std::span<const int> timesteps, double gamma) {
  check_type(type);
  auto weights = signal_to_noise(schedule, timesteps);
  for (float& weight : weights) {
    const float snr = weight;
    weight = std::min(snr, static_cast<float>(gamma));
    if (type == PredictionType::epsilon) weight = snr > 0.0f ? weight / snr : 1.0f;  // its limit
    if (type == PredictionType::v_prediction) weight /= snr + 1.0f;
  }
  return weights;
}

Loss simple_loss(const Tensor<float>& prediction, const Tensor<float>& target,
                 std::span<const float> weights) {
  check_batch(prediction, target);
  if (!weights.empty()) check_count(weights.size(), prediction, "weights");
  const auto count = static_cast<double>(prediction.size());
  Loss loss;
  loss.gradient = for_each_sample(prediction.shape(), [&](Index n) {
    const double weight = weights.empty() ? 1.0 : weights[static_cast<std::size_t>(n)];
    auto error = mix(prediction.slice(n, n + 1), target.slice(n, n + 1), {.alpha = 1.0f, .sigma = -1.0f});
    loss.value += weight * array(error).cast<double>().square().sum() / count;
    array(error) *= static_cast<float>(2.0 * weight / count);
    return error;
  });
  return loss;
}

}  // namespace daguerre::samplers

#pragma once

#include <span>
#include <vector>

#include "daguerre/core/tensor.hpp"
#include "daguerre/samplers/noise_schedule.hpp"
#include "daguerre/samplers/prediction.hpp"

/// The forward process and the training objective, for those who fine-tune or evaluate. Tensors are float32
/// `[N, ...]`; each sample n has a timestep of its own, `timesteps[n]`, an index into the schedule's tables.
/// All functions throw ArgumentError when shapes or the number of timesteps do not agree, for a timestep that
/// the schedule does not have, and for flow_prediction where there is a schedule: its paths are not straight.
namespace daguerre::samplers {

/// q(x_t | x_0), DDPM (arXiv:2006.11239), equation 4: sqrt(a_t) original + sqrt(1 - a_t) noise with
/// a_t = alphas_cumprod[t].
Tensor<float> add_noise(const NoiseSchedule& schedule, const Tensor<float>& original,
                        const Tensor<float>& noise, std::span<const int> timesteps);
/// v = sqrt(a_t) noise - sqrt(1 - a_t) original (arXiv:2202.00512, section 4).
Tensor<float> velocity(const NoiseSchedule& schedule, const Tensor<float>& original,
                       const Tensor<float>& noise, std::span<const int> timesteps);
/// What a model of that type is to predict: the noise, the original itself, or v.
Tensor<float> training_target(PredictionType type, const NoiseSchedule& schedule,
                              const Tensor<float>& original, const Tensor<float>& noise,
                              std::span<const int> timesteps);
/// A prediction of one type as another, given the noisy sample it was made for. From epsilon to the others
/// divides by sqrt(a_t), from the sample to the others by sqrt(1 - a_t).
Tensor<float> convert_prediction(PredictionType from, PredictionType to, const NoiseSchedule& schedule,
                                 const Tensor<float>& prediction, const Tensor<float>& noisy,
                                 std::span<const int> timesteps);

/// The straight paths of flow matching (arXiv:2209.03003, equation 1): (1 - sigma) original + sigma noise,
/// with a level for each sample.
Tensor<float> add_noise_straight(const Tensor<float>& original, const Tensor<float>& noise,
                                 std::span<const float> sigmas);
/// Their velocity, noise - original, which a flow-matching model predicts.
Tensor<float> straight_velocity(const Tensor<float>& original, const Tensor<float>& noise);

/// The signal-to-noise ratio a_t / (1 - a_t) of each timestep.
std::vector<float> signal_to_noise(const NoiseSchedule& schedule, std::span<const int> timesteps);
/// Min-SNR weights (arXiv:2303.09556, section 3.4) for the squared error in what the model predicts:
/// min(SNR, gamma) for the sample, divided by SNR for epsilon and by SNR + 1 for v.
std::vector<float> min_snr_weights(PredictionType type, const NoiseSchedule& schedule,
                                   std::span<const int> timesteps, double gamma = 5.0);

struct Loss {
  double value = 0.0;
  Tensor<float> gradient;  ///< with respect to the prediction
};
/// The simple loss (arXiv:2006.11239, equation 14): the mean over all elements of
/// weights[n] (prediction - target)^2; weights of one when there are none.
Loss simple_loss(const Tensor<float>& prediction, const Tensor<float>& target,
                 std::span<const float> weights = {});

}  // namespace daguerre::samplers

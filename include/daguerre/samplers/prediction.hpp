#pragma once

#include <utility>

#include "daguerre/core/tensor.hpp"

namespace daguerre::samplers {

/// What the network predicts for x_t = alpha x_0 + sigma eps.
enum class PredictionType {
  epsilon,         ///< the noise eps (DDPM)
  sample,          ///< the clean sample x_0
  v_prediction,    ///< v = alpha eps - sigma x_0 (arXiv:2202.00512, section 4)
  flow_prediction  ///< eps - x_0, the velocity of straight paths, where alpha = 1 - sigma (arXiv:2210.02747)
};

/// The coefficients of x_t = alpha x_0 + sigma eps.
struct Mixture {
  float alpha = 1.0f;
  float sigma = 0.0f;
};

/// at.alpha original + at.sigma noise.
Tensor<float> mix(const Tensor<float>& original, const Tensor<float>& noise, Mixture at);
/// v = at.alpha noise - at.sigma original (arXiv:2202.00512, section 4).
Tensor<float> velocity(const Tensor<float>& original, const Tensor<float>& noise, Mixture at);

/// x_0 as the model output implies it.
Tensor<float> predict_original(PredictionType type, const Tensor<float>& model_output,
                               const Tensor<float>& sample, Mixture at);
/// eps as the model output implies it.
Tensor<float> predict_epsilon(PredictionType type, const Tensor<float>& model_output,
                              const Tensor<float>& sample, Mixture at);
/// x_0 for samplers whose sample is x_0 + sigma eps, not scaled to unit variance (k-diffusion, Euler). With
/// v_prediction the model saw sample / sqrt(sigma^2 + 1). `sigma_hat` is the level after churning: the noise
/// is scaled by it, while v keeps the schedule's own `sigma`, as in diffusers.
Tensor<float> predict_original_unscaled(PredictionType type, const Tensor<float>& model_output,
                                        const Tensor<float>& sample, float sigma, float sigma_hat);

/// What is done to a predicted x_0. Thresholding takes precedence over clipping.
struct OriginalLimits {
  /// Dynamic thresholding (Imagen, arXiv:2205.11487, section 2.3): per sample, s is a quantile of |x_0|
  /// clamped to [1, sample_max_value]; x_0 is clamped to [-s, s] and divided by s.
  bool thresholding = false;
  double dynamic_thresholding_ratio = 0.995;
  double sample_max_value = 1.0;
  bool clip_sample = false;
  double clip_sample_range = 1.0;
};

/// `original` with the limits applied; itself when there are none.
Tensor<float> limit_original(Tensor<float> original, const OriginalLimits& limits);

/// The first and the second half of the channels (last axis) of `[..., 2 C]`.
std::pair<Tensor<float>, Tensor<float>> split_channels(const Tensor<float>& tensor);

}  // namespace daguerre::samplers

#include "daguerre/samplers/prediction.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "daguerre/core/eigen.hpp"

namespace daguerre::samplers {

Tensor<float> mix(const Tensor<float>& original, const Tensor<float>& noise, Mixture at) {
  Tensor<float> result(original.shape());
  array(result) = at.alpha * array(original) + at.sigma * array(noise);
  return result;
}

Tensor<float> velocity(const Tensor<float>& original, const Tensor<float>& noise, Mixture at) {
  return mix(noise, original, {.alpha = at.alpha, .sigma = -at.sigma});
}

Tensor<float> predict_original(PredictionType type, const Tensor<float>& model_output,
                               const Tensor<float>& sample, Mixture at) {
  Tensor<float> result(sample.shape());
  switch (type) {
    case PredictionType::epsilon:
      array(result) = (array(sample) - at.sigma * array(model_output)) / at.alpha;
      break;
    case PredictionType::sample:
      array(result) = array(model_output);
      break;
    case PredictionType::v_prediction:
      array(result) = at.alpha * array(sample) - at.sigma * array(model_output);
      break;
    case PredictionType::flow_prediction:
      array(result) = array(sample) - at.sigma * array(model_output);
      break;
  }
  return result;
}

Tensor<float> predict_epsilon(PredictionType type, const Tensor<float>& model_output,
                              const Tensor<float>& sample, Mixture at) {
  Tensor<float> result(sample.shape());
  switch (type) {
    case PredictionType::epsilon:
      array(result) = array(model_output);
      break;
    case PredictionType::sample:
      array(result) = (array(sample) - at.alpha * array(model_output)) / at.sigma;
      break;
    case PredictionType::v_prediction:
      array(result) = at.alpha * array(model_output) + at.sigma * array(sample);
      break;
    case PredictionType::flow_prediction:
      array(result) = array(sample) + at.alpha * array(model_output);
      break;
  }
  return result;
}

Tensor<float> predict_original_unscaled(PredictionType type, const Tensor<float>& model_output,
                                        const Tensor<float>& sample, float sigma, float sigma_hat) {
  if (type != PredictionType::v_prediction)
    return predict_original(type, model_output, sample, {.alpha = 1.0f, .sigma = sigma_hat});
  const float variance = sigma * sigma + 1.0f;
  Tensor<float> result(sample.shape());
  array(result) = array(model_output) * (-sigma / std::sqrt(variance)) + array(sample) / variance;
  return result;
}

namespace {

/// The quantile of `values` (reordered) between the two nearest ranks, as torch.quantile finds it in float32.
float quantile(std::vector<float>& values, float ratio) {
  const float rank = ratio * static_cast<float>(values.size() - 1);
  const auto below = values.begin() +
                     static_cast<std::ptrdiff_t>(std::min(static_cast<std::size_t>(rank), values.size() - 1));
  std::nth_element(values.begin(), below, values.end());
  const float low = *below;
  const float weight = rank - std::floor(rank);
  if (weight == 0.0f || below + 1 == values.end()) return low;
  const float high = *std::min_element(below + 1, values.end());
  return weight < 0.5f ? low + weight * (high - low) : high - (high - low) * (1.0f - weight);
}

}  // namespace

Tensor<float> limit_original(Tensor<float> original, const OriginalLimits& limits) {
  if (original.empty() || (!limits.thresholding && !limits.clip_sample)) return original;
  Tensor<float> result(original.shape());
  if (!limits.thresholding) {
    const auto range = static_cast<float>(limits.clip_sample_range);
    array(result) = array(original).max(-range).min(range);
    return result;
  }
  for (Index n = 0; n < original.dim(0); ++n) {
    const Tensor<float> one = original.slice(n, n + 1);
    auto limited = array(result, n, n + 1);
    std::vector<float> magnitudes(static_cast<std::size_t>(one.size()));
    std::transform(one.data(), one.data() + one.size(), magnitudes.begin(),
                   [](float value) { return std::abs(value); });
    if (std::any_of(magnitudes.begin(), magnitudes.end(), [](float value) { return std::isnan(value); })) {
      limited.setConstant(std::numeric_limits<float>::quiet_NaN());  // NaN has no rank
      continue;
    }
    const float upper = quantile(magnitudes, static_cast<float>(limits.dynamic_thresholding_ratio));
    const float s = std::min(std::max(upper, 1.0f), static_cast<float>(limits.sample_max_value));
    limited = array(one).max(-s).min(s) / s;
  }
  return result;
}

std::pair<Tensor<float>, Tensor<float>> split_channels(const Tensor<float>& tensor) {
  const Index channels = tensor.dim(-1) / 2;
  if (tensor.dim(-1) != 2 * channels)
    throw ArgumentError("split_channels",
                        "the number of channels of " + to_string(tensor.shape()) + " is odd");
  std::pair<Tensor<float>, Tensor<float>> halves{Tensor<float>(tensor.shape().with(-1, channels)),
                                                 Tensor<float>(tensor.shape().with(-1, channels))};
  matrix(halves.first) = matrix(tensor).leftCols(channels);
  matrix(halves.second) = matrix(tensor).rightCols(channels);
  return halves;
}

}  // namespace daguerre::samplers

#include "samplers/multistep.hpp"

#include <algorithm>
#include <cmath>

#include "daguerre/core/eigen.hpp"
#include "daguerre/samplers/prediction.hpp"

namespace daguerre::samplers {

bool LinearStep::finite() const {
  return std::isfinite(sample) && std::isfinite(prediction) && std::isfinite(noise) &&
         std::all_of(differences.begin(), differences.end(), [](float w) { return std::isfinite(w); });
}

void PredictionHistory::push(Tensor<float> prediction) {
  if (predictions_.size() == capacity_) predictions_.erase(predictions_.begin());
  predictions_.push_back(std::move(prediction));
}

Tensor<float> PredictionHistory::apply(const LinearStep& step, const Tensor<float>& x) const {
  const Tensor<float>& base = (*this)[step.base];
  Tensor<float> result(x.shape());
  array(result) = step.sample * array(x) + step.prediction * array(base);
  for (std::size_t k = 0; k < step.differences.size(); ++k)
    if (step.differences[k] != 0.0f) array(result) += step.differences[k] * (array((*this)[k]) - array(base));
  return result;
}

Tensor<float> adams_bashforth(const PredictionHistory& history) {
  const auto e = [&](std::size_t back) { return array(history[back]); };
  Tensor<float> combined(history[0].shape());
  switch (history.size()) {
    case 1:
      return history[0];
    case 2:
      array(combined) = (3.0f * e(0) - e(1)) / 2.0f;
      break;
    case 3:
      array(combined) = (23.0f * e(0) - 16.0f * e(1) + 5.0f * e(2)) / 12.0f;
      break;
    default:
      array(combined) =
          static_cast<float>(1.0 / 24.0) * (55.0f * e(0) - 59.0f * e(1) + 37.0f * e(2) - 9.0f * e(3));
  }
  return combined;
}

int multistep_order(Index i, Index calls, Index first_call, int solver_order, bool lower_order_final,
                    bool first_order_last) {
  const bool few = lower_order_final && calls < 15;
  if (i == calls - 1 && (few || first_order_last)) return 1;
  const int order = i == calls - 2 && few ? std::min(solver_order, 2) : solver_order;
  return static_cast<int>(std::min<Index>(order, i - first_call + 1));
}

void LambdaRun::set_levels(const Levels& levels, double final_sigma, bool straight) {
  sigmas_.assign(levels.sigmas.begin(), levels.sigmas.end());
  sigmas_.push_back(static_cast<float>(final_sigma));
  timesteps_.assign(levels.timesteps.begin(), levels.timesteps.end());
  for (const float sigma : sigmas_)
    levels_.push_back(straight ? NoiseLevel(1.0f - sigma, sigma) : NoiseLevel(sigma));
}

Mixture LambdaRun::mixture(PredictionType type, Index i) const {
  const bool flow = type == PredictionType::flow_prediction;
  return {.alpha = level(i).alpha, .sigma = flow ? sigmas_[static_cast<std::size_t>(i)] : level(i).sigma};
}

void LambdaRun::begin_plan(Index first_call) {
  begin(first_call);
  first_call_ = first_call;
}

void LambdaRun::plan(LinearStep step) {
  if (!step.finite())
    throw ArgumentError(name(),
                        "a step of order " + std::to_string(step.order) + " at call " +
                            std::to_string(first_call_ + static_cast<Index>(plan_.size())) +
                            " divides by zero, because neighbouring noise levels are equal or the last "
                            "one is zero; take another number of steps, a lower solver_order or another "
                            "final_sigmas_type");
  plan_.push_back(std::move(step));
}

Tensor<float> LambdaRun::noised(const Tensor<float>& original, const Tensor<float>& noise, Index i) const {
  return mix(original, noise, {.alpha = level(i).alpha, .sigma = level(i).sigma});
}

}  // namespace daguerre::samplers

#include "daguerre/samplers/ipndm.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "daguerre/samplers/prediction.hpp"
#include "daguerre/tensor/eigen.hpp"
#include "samplers/multistep.hpp"
#include "samplers/numerics.hpp"
#include "samplers/runs.hpp"

namespace daguerre::samplers {
namespace {

constexpr const char* class_name = "IPNDMScheduler";

class IpndmRun final : public SamplerRun {
 public:
  explicit IpndmRun(const RunOptions& options) : SamplerRun(class_name) {
    constexpr auto pi = static_cast<float>(std::numbers::pi);
    for (const float t : numerics::torch_linspace(1.0, 0.0, options.steps + 1)) {
      const float sine = std::sin(t * pi / 2.0f), sigma = sine * sine;
      levels_.push_back({.alpha = std::sqrt(1.0f - sigma * sigma), .sigma = sigma});
    }
    levels_.back() = {.alpha = 1.0f, .sigma = 0.0f};
    for (std::size_t i = 0; i + 1 < levels_.size(); ++i)
      timesteps_.push_back(std::atan2(levels_[i].sigma, levels_[i].alpha) / pi * 2.0f);
    begin(options.first_call);
  }

 private:
  const Mixture& level(Index i) const { return levels_[static_cast<std::size_t>(i)]; }

  Tensor<float> advance(const Tensor<float>& model_output, Index i, const Tensor<float>& sample,
                        const NoiseSource&) override {
    const Mixture &at = level(i), &next = level(i + 1);
    history_.push(predict_epsilon(PredictionType::v_prediction, model_output, sample, at));
    const Tensor<float> epsilon = adams_bashforth(history_);
    // The first level is pure noise; its alpha of zero is bounded as in the reference.
    pred_original_sample_ = predict_original(PredictionType::epsilon, epsilon, sample,
                                             {.alpha = std::max(at.alpha, 1e-8f), .sigma = at.sigma});
    return mix(pred_original_sample_, epsilon, next);
  }

  Tensor<float> noised(const Tensor<float>& original, const Tensor<float>& noise, Index i) const override {
    return mix(original, noise, level(i));
  }

  std::vector<Mixture> levels_;
  PredictionHistory history_{4};
};

}  // namespace

IpndmConfig IpndmConfig::from(const weights::Config& config) {
  IpndmConfig result;
  result.num_train_timesteps = config.get("num_train_timesteps", result.num_train_timesteps);
  config.expect("trained_betas", {"null"});
  return result;
}

std::unique_ptr<SamplerRun> IpndmSampler::start(const RunOptions& options) const {
  check_run(class_name, options, config_.num_train_timesteps);
  return std::make_unique<IpndmRun>(options);
}

}  // namespace daguerre::samplers

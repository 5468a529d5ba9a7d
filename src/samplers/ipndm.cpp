#include "daguerre/samplers/ipndm.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "daguerre/core/eigen.hpp"
#include "daguerre/samplers/prediction.hpp"
#include "samplers/multistep.hpp"
#include "samplers/numerics.hpp"
#include "samplers/runs.hpp"

namespace daguerre::samplers {
namespace {

constexpr const char* ipndm_name = "IPNDMScheduler";

class IpndmRun final : public SamplerRun {
 public:
  IpndmRun(const IpndmConfig& config, const RunOptions& options) : SamplerRun(ipndm_name) {
    constexpr auto pi = static_cast<float>(std::numbers::pi);
    std::vector<float> sigmas(config.trained_betas.begin(), config.trained_betas.end());
    if (sigmas.empty()) {
      for (const float t : numerics::torch_linspace(1.0, 0.0, options.steps + 1)) {
        const float sine = std::sin(t * pi / 2.0f);
        sigmas.push_back(sine * sine);
      }
      sigmas.back() = 0.0f;
    }
    for (const float sigma : sigmas)
      levels_.push_back({.alpha = std::sqrt(1.0f - sigma * sigma), .sigma = sigma});
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

IpndmConfig IpndmConfig::from(const daguerre::Config& config) {
  IpndmConfig result;
  result.num_train_timesteps = config.get("num_train_timesteps", result.num_train_timesteps);
  result.trained_betas = config.doubles("trained_betas");
  return result;
}

IpndmSampler::IpndmSampler(const IpndmConfig& config) : config_(config) {
  for (const double sigma : config.trained_betas)
    if (!(sigma >= 0.0 && sigma <= 1.0))
      throw ConfigError(ipndm_name, "a level in trained_betas is " + std::to_string(sigma) +
                                        ", expected a value in [0, 1]");
  if (config.trained_betas.size() == 1)
    throw ConfigError(ipndm_name, "trained_betas has one level, expected that of the finished sample too");
}

std::unique_ptr<SamplerRun> IpndmSampler::start(const RunOptions& options) const {
  check_run(ipndm_name, options, config_.num_train_timesteps);
  const auto levels = config_.trained_betas.size();
  if (levels > 0 && static_cast<std::size_t>(options.steps) + 1 != levels)
    throw ArgumentError(ipndm_name, "the number of steps is " + std::to_string(options.steps) +
                                        ", but trained_betas has the levels of " +
                                        std::to_string(levels - 1));
  return std::make_unique<IpndmRun>(config_, options);
}

}  // namespace daguerre::samplers

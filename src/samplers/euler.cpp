#include "daguerre/samplers/euler.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "daguerre/tensor/eigen.hpp"
#include "samplers/numerics.hpp"
#include "samplers/read_config.hpp"
#include "samplers/runs.hpp"

namespace daguerre::samplers {
namespace {

class EulerRun final : public SigmaRun {
 public:
  EulerRun(const EulerConfig& config, const NoiseSchedule& schedule, const RunOptions& options)
      : SigmaRun("EulerDiscreteScheduler"), config_(config), options_(options) {
    std::vector<double> timesteps =
        sigma_timesteps(schedule, config.timestep_spacing, options.steps, config.steps_offset);
    const auto log_sigmas = log_sigma_table(schedule.sigmas());
    std::vector<double> levels;
    if (config.log_linear)
      for (const float log_sigma :
           numerics::torch_linspace(log_sigmas.back(), log_sigmas.front(), options.steps + 1))
        levels.push_back(std::exp(log_sigma));
    else
      levels = interpolate(timesteps, schedule.sigmas());
    if (config.sigma_spacing != SigmaSpacing::timesteps) {
      levels = spaced_sigmas(config.sigma_spacing, config.sigma_min.value_or(levels.back()),
                             config.sigma_max.value_or(levels.front()), options.steps);
      timesteps = sigmas_to_timesteps(levels, log_sigmas, config.sigma_spacing);
    }
    sigmas_ = with_final_sigma(levels, config.final_sigma, schedule.sigmas().front());
    const bool continuous =
        config.continuous_timesteps && config.prediction_type == PredictionType::v_prediction;
    if (continuous)
      for (std::size_t i = 0; i + 1 < sigmas_.size(); ++i) timesteps_.push_back(0.25f * std::log(sigmas_[i]));
    else
      timesteps_.assign(timesteps.begin(), timesteps.end());
    set_init_noise_sigma(config.timestep_spacing == TimestepSpacing::leading);
    begin(options.first_call);
  }

 private:
  Tensor<float> advance(const Tensor<float>& model_output, Index i, const Tensor<float>& sample,
                        const NoiseSource& noise) override {
    const float level = sigma(i);
    const bool churns = options_.s_tmin <= level && level <= options_.s_tmax;
    const double gamma = churns ? std::min(options_.s_churn / static_cast<double>(sigmas_.size() - 1),
                                           std::numbers::sqrt2 - 1.0)
                                : 0.0;
    const float sigma_hat = level * static_cast<float>(gamma + 1.0);
    Tensor<float> x = sample;
    if (gamma > 0.0) {
      x = Tensor<float>(sample.shape());
      array(x) = array(sample) + array(draw(noise, sample.shape())) * static_cast<float>(options_.s_noise) *
                                     std::sqrt(sigma_hat * sigma_hat - level * level);
    }
    Tensor<float> original =
        predict_original_unscaled(config_.prediction_type, model_output, x, level, sigma_hat);
    const auto derivative = (array(std::as_const(x)) - array(std::as_const(original))) / sigma_hat;
    Tensor<float> result(sample.shape());
    array(result) = array(std::as_const(x)) + derivative * (sigma(i + 1) - sigma_hat);
    pred_original_sample_ = std::move(original);
    return result;
  }

  EulerConfig config_;
  RunOptions options_;
};

}  // namespace

EulerConfig EulerConfig::from(const weights::Config& config) {
  EulerConfig result;
  result.schedule = read_noise_schedule(config, {.zero_snr = true});
  result.prediction_type = read_prediction_type(config);
  result.timestep_spacing = read_timestep_spacing(config, result.timestep_spacing);
  result.steps_offset = config.get("steps_offset", result.steps_offset);
  result.sigma_spacing = read_sigma_spacing(config, false);
  result.log_linear =
      read_choice(config, "interpolation_type", false, {{"linear", false}, {"log_linear", true}});
  result.sigma_min = config.optional_double("sigma_min");
  result.sigma_max = config.optional_double("sigma_max");
  result.continuous_timesteps =
      read_choice(config, "timestep_type", false, {{"discrete", false}, {"continuous", true}});
  result.final_sigma = read_final_sigma(config);
  return result;
}

EulerSampler::EulerSampler(const EulerConfig& config)
    : config_(config), schedule_(config.schedule, TerminalAlpha::finite) {
  if (config.sigma_spacing == SigmaSpacing::lu)
    throw ConfigError("EulerDiscreteScheduler", "the sigma spacing of Lu is not possible");
  for (const auto& end : {config.sigma_min, config.sigma_max})
    if (end && !(*end > 0.0 && std::isfinite(*end)))
      throw ConfigError("EulerDiscreteScheduler",
                        "sigma_min or sigma_max is " + std::to_string(*end) + ", expected a positive number");
}

std::unique_ptr<SamplerRun> EulerSampler::start(const RunOptions& options) const {
  check_steps("EulerDiscreteScheduler", options.steps, schedule_.num_train_timesteps());
  return std::make_unique<EulerRun>(config_, schedule_, options);
}

}  // namespace daguerre::samplers

#include "daguerre/samplers/euler.hpp"

#include <cmath>

#include "daguerre/core/eigen.hpp"
#include "samplers/numerics.hpp"
#include "samplers/read_config.hpp"
#include "samplers/runs.hpp"

namespace daguerre::samplers {
namespace {

class EulerRun final : public SigmaRun {
 public:
  EulerRun(const EulerConfig& config, const NoiseSchedule& schedule, const RunOptions& options)
      : SigmaRun("EulerDiscreteScheduler"), config_(config), options_(options) {
    const auto log_sigmas = log_sigma_table(schedule.sigmas());
    if (options.sigmas.empty()) {
      Levels levels = evenly_spaced(schedule, log_sigmas);
      if (config.sigma_spacing != SigmaSpacing::timesteps)
        space_sigmas(levels, schedule, config, options.steps);
      sigmas_ = with_final_sigma(levels.sigmas, config.final_sigma, schedule.sigmas().front());
      timesteps_.assign(levels.timesteps.begin(), levels.timesteps.end());
    } else {
      sigmas_.assign(options.sigmas.begin(), options.sigmas.end());
      for (std::size_t k = 0; k + 1 < sigmas_.size(); ++k)
        timesteps_.push_back(
            static_cast<float>(sigma_to_timestep(sigmas_[k], log_sigmas, InterpolationPrecision::float32)));
    }
    const bool continuous =
        config.continuous_timesteps && config.prediction_type == PredictionType::v_prediction;
    if (continuous) {
      timesteps_.clear();
      for (std::size_t i = 0; i + 1 < sigmas_.size(); ++i) timesteps_.push_back(0.25f * std::log(sigmas_[i]));
    }
    set_init_noise_sigma(config.timestep_spacing == TimestepSpacing::leading);
    begin(options.first_call);
  }

 private:
  /// The levels of the timesteps, or evenly spaced in their logarithm.
  Levels evenly_spaced(const NoiseSchedule& schedule, std::span<const float> log_sigmas) const {
    SigmaSamplerConfig spaced = config_;
    spaced.sigma_spacing = SigmaSpacing::timesteps;
    Levels levels = sigma_levels(name(), schedule, spaced, options_);
    if (!config_.log_linear) return levels;
    const auto steps = static_cast<int>(levels.timesteps.size());
    levels.sigmas.clear();
    for (const float log_sigma : numerics::torch_linspace(log_sigmas.back(), log_sigmas.front(), steps + 1))
      levels.sigmas.push_back(std::exp(log_sigma));
    return levels;
  }

  Tensor<float> advance(const Tensor<float>& model_output, Index i, const Tensor<float>& sample,
                        const NoiseSource& noise) override {
    const float level = sigma(i);
    const auto [x, sigma_hat] = churn(sample, level, sigmas_.size() - 1, options_, noise);
    Tensor<float> original =
        predict_original_unscaled(config_.prediction_type, model_output, x, level, sigma_hat);
    Tensor<float> result = euler_step(x, original, sigma_hat, sigma(i + 1));
    pred_original_sample_ = std::move(original);
    return result;
  }

  EulerConfig config_;
  RunOptions options_;
};

}  // namespace

EulerConfig EulerConfig::from(const daguerre::Config& config) {
  EulerConfig result;
  read_sigma_sampler(config, {.zero_snr = true}, {}, result);
  result.log_linear =
      read_choice(config, "interpolation_type", false, {{"linear", false}, {"log_linear", true}});
  result.continuous_timesteps = read_choice(
      config, "timestep_type", false, {{"discrete", false}, {"continuous", true}}, std::optional(false));
  result.final_sigma = read_final_sigma(config);
  return result;
}

EulerSampler::EulerSampler(const EulerConfig& config)
    : config_(config), schedule_(config.schedule, TerminalAlpha::finite) {
  check_sigma_sampler("EulerDiscreteScheduler", config);
}

std::unique_ptr<SamplerRun> EulerSampler::start(const RunOptions& options) const {
  constexpr const char* who = "EulerDiscreteScheduler";
  check_run(who, options, schedule_.num_train_timesteps(), {.timesteps = true, .sigmas = true});
  const bool spaced = config_.sigma_spacing != SigmaSpacing::timesteps;
  const bool continuous =
      config_.continuous_timesteps && config_.prediction_type == PredictionType::v_prediction;
  if (!options.timesteps.empty() && (spaced || continuous))
    throw ArgumentError(who,
                        "custom timesteps do not go together with a spacing of sigmas or with "
                        "continuous timesteps");
  if (options.sigmas.size() == 1)
    throw ArgumentError(who, "custom sigmas end in the level of the finished sample; found only that one");
  return std::make_unique<EulerRun>(config_, schedule_, options);
}

}  // namespace daguerre::samplers

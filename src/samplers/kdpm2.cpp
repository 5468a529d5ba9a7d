#include "daguerre/samplers/kdpm2.hpp"

#include <cmath>
#include <utility>
#include <vector>

#include "daguerre/core/eigen.hpp"
#include "samplers/read_config.hpp"
#include "samplers/runs.hpp"

namespace daguerre::samplers {
namespace {

const char* kdpm2_name(const Kdpm2Config& config) {
  return config.ancestral ? "KDPM2AncestralDiscreteScheduler" : "KDPM2DiscreteScheduler";
}

class Kdpm2Run final : public SigmaRun {
 public:
  Kdpm2Run(const Kdpm2Config& config, const NoiseSchedule& schedule, const RunOptions& options)
      : SigmaRun(kdpm2_name(config)), config_(config) {
    Levels levels = sigma_levels(kdpm2_name(config), schedule, config, options);
    if (config.sigma_spacing == SigmaSpacing::karras)
      for (double& t : levels.timesteps) t = std::nearbyint(t);
    const auto sigmas = with_final_sigma(levels.sigmas, FinalSigma::zero, 0.0f);
    sigmas_ = repeat_inner(sigmas);
    sigmas_.insert(sigmas_.end(), 2, 0.0f);  // as many as diffusers has

    const auto log_sigmas = log_sigma_table(schedule.sigmas());
    for (std::size_t k = 0; k + 1 < sigmas.size(); ++k) {
      Step step{.from = sigmas[k], .to = sigmas[k + 1]};
      if (config.ancestral) {
        const auto split = ancestral_split(step.from, step.to);
        step.to = split.down;
        step.up = split.up;
      }
      timesteps_.push_back(static_cast<float>(levels.timesteps[k]));
      if (k + 2 < sigmas.size()) {
        const float log_to = std::log(step.to);
        // diffusers interpolates from the other end in its plain form, which rounds otherwise.
        step.middle =
            std::exp(config.ancestral ? log_to - (log_to - std::log(step.from)) * 0.5f
                                      : std::log(step.from) - (std::log(step.from) - log_to) * 0.5f);
        timesteps_.push_back(
            static_cast<float>(sigma_to_timestep(step.middle, log_sigmas, InterpolationPrecision::float32)));
      }
      steps_.push_back(step);
    }
    set_init_noise_sigma(config.timestep_spacing == TimestepSpacing::leading);
    begin(options.first_call);
  }

 private:
  struct Step {
    float from = 0, middle = 0, to = 0, up = 0;
  };

  const Step& step_of(Index i) const { return steps_[static_cast<std::size_t>(i / 2)]; }
  float call_sigma(Index i) const override { return i % 2 == 0 ? step_of(i).from : step_of(i).middle; }

  Tensor<float> advance(const Tensor<float>& model_output, Index i, const Tensor<float>& sample,
                        const NoiseSource& noise) override {
    const Step& step = step_of(i);
    const float at = call_sigma(i);
    Tensor<float> original = predict_original_unscaled(config_.prediction_type, model_output, sample, at, at);
    Tensor<float> result;
    if (i % 2 == 0) {
      result = euler_step(sample, original, step.from, step.middle);
      begin_sample_ = sample.clone();
    } else {
      result = Tensor<float>(sample.shape());
      array(result) = array(std::as_const(begin_sample_)) +
                      (array(sample) - array(std::as_const(original))) / at * (step.to - step.from);
      if (config_.ancestral) array(result) += array(draw(noise, sample.shape())) * step.up;
    }
    pred_original_sample_ = std::move(original);
    return result;
  }

  Kdpm2Config config_;
  std::vector<Step> steps_;
  Tensor<float> begin_sample_;  ///< the sample at the beginning of the step
};

}  // namespace

Kdpm2Config Kdpm2Config::from(const daguerre::Config& config) {
  Kdpm2Config result;
  result.ancestral = config.class_name() == "KDPM2AncestralDiscreteScheduler";
  read_sigma_sampler(config, {}, {.sample = false}, result);
  return result;
}

Kdpm2Sampler::Kdpm2Sampler(const Kdpm2Config& config)
    : config_(config), schedule_(config.schedule, TerminalAlpha::finite) {
  check_sigma_sampler(kdpm2_name(config), config);
  if (config.prediction_type == PredictionType::sample)
    throw ConfigError(kdpm2_name(config), "prediction_type sample is not possible");
}

std::unique_ptr<SamplerRun> Kdpm2Sampler::start(const RunOptions& options) const {
  check_run(kdpm2_name(config_), options, schedule_.num_train_timesteps());
  check_two_stage_begin(kdpm2_name(config_), options);
  return std::make_unique<Kdpm2Run>(config_, schedule_, options);
}

}  // namespace daguerre::samplers

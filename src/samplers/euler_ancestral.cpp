#include "daguerre/samplers/euler_ancestral.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "daguerre/core/eigen.hpp"
#include "daguerre/samplers/sigma_schedule.hpp"
#include "samplers/read_config.hpp"
#include "samplers/runs.hpp"

namespace daguerre::samplers {
namespace {

class EulerAncestralRun final : public SigmaRun {
 public:
  EulerAncestralRun(const EulerAncestralConfig& config, const NoiseSchedule& schedule,
                    const RunOptions& options)
      : SigmaRun("EulerAncestralDiscreteScheduler"), config_(config) {
    const auto timesteps =
        sigma_timesteps(schedule, config.timestep_spacing, options.steps, config.steps_offset);
    timesteps_.assign(timesteps.begin(), timesteps.end());
    sigmas_ = with_final_sigma(interpolate(timesteps, schedule.sigmas()), FinalSigma::zero, 0.0f);
    set_init_noise_sigma(config.timestep_spacing == TimestepSpacing::leading);
    begin(options.first_call);
  }

 private:
  Tensor<float> advance(const Tensor<float>& model_output, Index i, const Tensor<float>& sample,
                        const NoiseSource& noise) override {
    const float from = sigma(i);
    const auto [sigma_down, sigma_up] = ancestral_split(from, sigma(i + 1));
    Tensor<float> original =
        predict_original_unscaled(config_.prediction_type, model_output, sample, from, from);
    const Tensor<float> drawn = draw(noise, sample.shape());
    Tensor<float> result = euler_step(sample, original, from, sigma_down);
    array(result) += array(drawn) * sigma_up;
    pred_original_sample_ = std::move(original);
    return result;
  }

  EulerAncestralConfig config_;
};

}  // namespace

EulerAncestralConfig EulerAncestralConfig::from(const daguerre::Config& config) {
  EulerAncestralConfig result;
  result.schedule = read_noise_schedule(config, {.zero_snr = true});
  result.prediction_type = read_prediction_type(config, {.sample = false});
  read_timesteps(config, result.timestep_spacing, result.steps_offset);
  return result;
}

EulerAncestralSampler::EulerAncestralSampler(const EulerAncestralConfig& config)
    : config_(config), schedule_(config.schedule, TerminalAlpha::finite) {
  if (config.prediction_type == PredictionType::sample)
    throw ConfigError("EulerAncestralDiscreteScheduler", "prediction_type sample is not possible");
}

std::unique_ptr<SamplerRun> EulerAncestralSampler::start(const RunOptions& options) const {
  check_run("EulerAncestralDiscreteScheduler", options, schedule_.num_train_timesteps());
  return std::make_unique<EulerAncestralRun>(config_, schedule_, options);
}

}  // namespace daguerre::samplers

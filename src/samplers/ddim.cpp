#include "daguerre/samplers/ddim.hpp"

#include <algorithm>
#include <cmath>

#include "daguerre/core/eigen.hpp"
#include "samplers/read_config.hpp"
#include "samplers/runs.hpp"

namespace daguerre::samplers {
namespace {

class DdimRun final : public DiscreteRun {
 public:
  DdimRun(const DdimConfig& config, const NoiseSchedule& schedule, const RunOptions& options)
      : DiscreteRun("DDIMScheduler", schedule),
        config_(config),
        options_(options),
        stride_(schedule.num_train_timesteps() / options.steps) {
    prepare(evenly_spaced(config.timestep_spacing, options.steps, config.steps_offset), options.first_call,
            config.prediction_type, config.limits);
  }

 private:
  Tensor<float> advance(const Tensor<float>& model_output, Index i, const Tensor<float>& sample,
                        const NoiseSource& noise) override {
    const int t = timestep(i);
    const float alpha_prod_t = alpha_prod(t);
    const float alpha_prod_prev =
        alpha_prod(t - stride_, config_.set_alpha_to_one ? 1.0f : schedule_.alphas_cumprod().front());
    const Mixture at{.alpha = std::sqrt(alpha_prod_t), .sigma = std::sqrt(1.0f - alpha_prod_t)};

    Tensor<float> original =
        limit_original(predict_original(config_.prediction_type, model_output, sample, at), config_.limits);
    const Tensor<float> epsilon = options_.use_clipped_model_output
                                      ? predict_epsilon(PredictionType::sample, original, sample, at)
                                      : predict_epsilon(config_.prediction_type, model_output, sample, at);

    const float variance =
        (1.0f - alpha_prod_prev) / (1.0f - alpha_prod_t) * (1.0f - alpha_prod_t / alpha_prod_prev);
    const float std_dev = static_cast<float>(options_.eta) * std::sqrt(variance);
    // With eta = 1 next to pure noise the difference is zero but for rounding.
    const float direction = std::sqrt(std::max(1.0f - alpha_prod_prev - std_dev * std_dev, 0.0f));

    Tensor<float> result(sample.shape());
    array(result) = std::sqrt(alpha_prod_prev) * array(original) + direction * array(epsilon);
    if (options_.eta > 0.0) array(result) += std_dev * array(draw(noise, sample.shape()));
    pred_original_sample_ = std::move(original);
    return result;
  }

  DdimConfig config_;
  RunOptions options_;
  int stride_;
};

}  // namespace

DdimConfig DdimConfig::from(const daguerre::Config& config) {
  DdimConfig result;
  result.schedule = read_noise_schedule(config, {.zero_snr = true});
  result.prediction_type = read_prediction_type(config);
  result.limits = read_limits(config, true);
  read_timesteps(config, result.timestep_spacing, result.steps_offset);
  result.set_alpha_to_one = config.get("set_alpha_to_one", result.set_alpha_to_one);
  return result;
}

DdimSampler::DdimSampler(const DdimConfig& config)
    : config_(config), schedule_(config.schedule, TerminalAlpha::exact) {}

std::unique_ptr<SamplerRun> DdimSampler::start(const RunOptions& options) const {
  check_run("DDIMScheduler", options, schedule_.num_train_timesteps());
  if (!(options.eta >= 0.0 && options.eta <= 1.0))
    throw ArgumentError("DDIMScheduler", "eta is " + std::to_string(options.eta) + ", expected 0 to 1");
  return std::make_unique<DdimRun>(config_, schedule_, options);
}

}  // namespace daguerre::samplers

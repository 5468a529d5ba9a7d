#include "daguerre/samplers/heun.hpp"

#include <utility>

#include "daguerre/core/eigen.hpp"
#include "samplers/read_config.hpp"
#include "samplers/runs.hpp"

namespace daguerre::samplers {
namespace {

constexpr const char* heun_name = "HeunDiscreteScheduler";

class HeunRun final : public SigmaRun {
 public:
  HeunRun(const HeunConfig& config, const NoiseSchedule& schedule, const RunOptions& options)
      : SigmaRun(heun_name), config_(config) {
    const Levels levels = sigma_levels(heun_name, schedule, config, options);
    sigmas_ = repeat_inner(with_final_sigma(levels.sigmas, FinalSigma::zero, 0.0f));
    timesteps_ = repeat_later(levels.timesteps);
    set_init_noise_sigma(config.timestep_spacing == TimestepSpacing::leading);
    begin(options.first_call);
  }

 private:
  Tensor<float> advance(const Tensor<float>& model_output, Index i, const Tensor<float>& sample,
                        const NoiseSource&) override {
    const float at = sigma(i);
    Tensor<float> original = limit_original(
        predict_original_unscaled(config_.prediction_type, model_output, sample, at, at), config_.limits);
    Tensor<float> derivative(sample.shape());
    array(derivative) = (array(sample) - array(std::as_const(original))) / at;
    pred_original_sample_ = std::move(original);
    return i % 2 == 0 ? stages_.predict(sample, std::move(derivative), sigma(i + 1) - at)
                      : stages_.correct(derivative);
  }

  HeunConfig config_;
  HeunStages stages_;
};

}  // namespace

HeunConfig HeunConfig::from(const daguerre::Config& config) {
  HeunConfig result;
  read_sigma_sampler(config, {.exponential = true}, {}, result);
  read_clipping(config, false, result.limits);
  return result;
}

HeunSampler::HeunSampler(const HeunConfig& config)
    : config_(config), schedule_(config.schedule, TerminalAlpha::finite) {
  check_sigma_sampler(heun_name, config);
}

std::unique_ptr<SamplerRun> HeunSampler::start(const RunOptions& options) const {
  check_run(heun_name, options, schedule_.num_train_timesteps(), {.timesteps = true});
  check_two_stage_begin(heun_name, options);
  return std::make_unique<HeunRun>(config_, schedule_, options);
}

}  // namespace daguerre::samplers

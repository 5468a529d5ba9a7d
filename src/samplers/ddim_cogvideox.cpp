#include "daguerre/samplers/ddim_cogvideox.hpp"

#include <cmath>
#include <utility>

#include "samplers/cogvideox_run.hpp"
#include "samplers/read_config.hpp"
#include "samplers/runs.hpp"

namespace daguerre::samplers {
namespace {

constexpr const char* cogvideox_name = "CogVideoXDDIMScheduler";

class CogVideoXDdimRun final : public CogVideoXRun {
 public:
  CogVideoXDdimRun(const CogVideoXDdimConfig& config, std::shared_ptr<const std::vector<double>> alphas,
                   const RunOptions& options)
      : CogVideoXRun(cogvideox_name, config, std::move(alphas), options) {}

 private:
  Tensor<float> advance(const Tensor<float>& model_output, Index i, const Tensor<float>& sample,
                        const NoiseSource&) override {
    const double a = alpha(timestep(i)), a_prev = alpha(previous_timestep(i));
    const double sample_factor = std::sqrt((1.0 - a_prev) / (1.0 - a));
    const double original_factor = std::sqrt(a_prev) - std::sqrt(a) * sample_factor;
    pred_original_sample_ = original(model_output, i, sample);
    return mix(sample, pred_original_sample_,
               {.alpha = static_cast<float>(sample_factor), .sigma = static_cast<float>(original_factor)});
  }
};

}  // namespace

CogVideoXDdimConfig::CogVideoXDdimConfig() {
  schedule.beta_start = 0.00085;
  schedule.beta_end = 0.012;
  schedule.beta_schedule = BetaSchedule::scaled_linear;
}

CogVideoXDdimConfig CogVideoXDdimConfig::from(const daguerre::Config& config) {
  CogVideoXDdimConfig result;
  result.schedule = read_noise_schedule(config, {.zero_snr = true}, result.schedule);
  result.prediction_type = read_prediction_type(config);
  read_timesteps(config, result.timestep_spacing, result.steps_offset);
  result.set_alpha_to_one = config.get("set_alpha_to_one", result.set_alpha_to_one);
  result.snr_shift_scale = config.get("snr_shift_scale", result.snr_shift_scale);
  return result;
}

CogVideoXDdimSampler::CogVideoXDdimSampler(const CogVideoXDdimConfig& config) : config_(config) {
  auto alphas = cogvideox_alphas(config, cogvideox_name);
  rounded_ = std::make_shared<const std::vector<float>>(alphas.begin(), alphas.end());
  alphas_cumprod_ = std::make_shared<const std::vector<double>>(std::move(alphas));
}

std::unique_ptr<SamplerRun> CogVideoXDdimSampler::start(const RunOptions& options) const {
  check_run(cogvideox_name, options, config_.schedule.num_train_timesteps);
  return std::make_unique<CogVideoXDdimRun>(config_, alphas_cumprod_, options);
}

}  // namespace daguerre::samplers

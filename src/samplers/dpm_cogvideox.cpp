#include "daguerre/samplers/dpm_cogvideox.hpp"

#include <cmath>
#include <utility>

#include "samplers/cogvideox_run.hpp"
#include "samplers/runs.hpp"

namespace daguerre::samplers {
namespace {

constexpr const char* cogvideox_dpm_name = "CogVideoXDPMScheduler";

/// Half the logarithm of the signal-to-noise ratio; infinite at pure noise and at none.
double half_log_snr(double alpha) {
  return std::log(std::sqrt(alpha / (1.0 - alpha)));
}

class CogVideoXDpmRun final : public CogVideoXRun {
 public:
  CogVideoXDpmRun(const CogVideoXDdimConfig& config, std::shared_ptr<const std::vector<double>> alphas,
                  const RunOptions& options)
      : CogVideoXRun(cogvideox_dpm_name, config, std::move(alphas), options) {}

 private:
  Tensor<float> advance(const Tensor<float>& model_output, Index i, const Tensor<float>& sample,
                        const NoiseSource& noise) override {
    const double a = alpha(timestep(i)), a_prev = alpha(previous_timestep(i));
    const double lambda = half_log_snr(a), h = half_log_snr(a_prev) - lambda;
    auto denoised = original(model_output, i, sample);
    const auto previous = std::exchange(pred_original_sample_, denoised);
    auto drawn = draw(noise, sample.shape());
    if (!previous.empty() && previous_timestep(i) >= 0) {
      // From pure noise h is infinite, and so is the ratio of the step behind it.
      const double ratio = (lambda - half_log_snr(alpha(timestep(i - 1)))) / h;
      const double beyond = 1.0 / (2.0 * ratio);
      denoised = mix(denoised, previous,
                     {.alpha = static_cast<float>(1.0 + beyond), .sigma = static_cast<float>(-beyond)});
      drawn = draw(noise, sample.shape());
    }
    const double sample_factor = std::sqrt((1.0 - a_prev) / (1.0 - a)) * std::exp(-h);
    const double original_factor = -std::expm1(-2.0 * h) * std::sqrt(a_prev);
    const double noise_factor = std::sqrt(1.0 - a_prev) * std::sqrt(1.0 - std::exp(-2.0 * h));
    const auto moved =
        mix(sample, denoised,
            {.alpha = static_cast<float>(sample_factor), .sigma = static_cast<float>(original_factor)});
    return mix(moved, drawn, {.alpha = 1.0f, .sigma = static_cast<float>(noise_factor)});
  }
};

}  // namespace

CogVideoXDpmSampler::CogVideoXDpmSampler(const Config& config) : config_(config) {
  auto alphas = cogvideox_alphas(config, cogvideox_dpm_name);
  rounded_ = std::make_shared<const std::vector<float>>(alphas.begin(), alphas.end());
  alphas_cumprod_ = std::make_shared<const std::vector<double>>(std::move(alphas));
}

std::unique_ptr<SamplerRun> CogVideoXDpmSampler::start(const RunOptions& options) const {
  check_run(cogvideox_dpm_name, options, config_.schedule.num_train_timesteps);
  return std::make_unique<CogVideoXDpmRun>(config_, alphas_cumprod_, options);
}

}  // namespace daguerre::samplers

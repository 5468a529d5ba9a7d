#include "daguerre/samplers/consistency.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "daguerre/core/eigen.hpp"
#include "samplers/numerics.hpp"
#include "samplers/read_config.hpp"
#include "samplers/runs.hpp"

namespace daguerre::samplers {
namespace {

constexpr const char* lcm_name = "LCMScheduler";
constexpr const char* tcd_name = "TCDScheduler";

/// The timesteps that a run chooses from: `count` evenly spaced ones, the noisiest being
/// `count * stride - 1`.
struct Distillation {
  int count = 0, stride = 1;
};

/// The number of timesteps of the distillation. Throws ArgumentError for what a run asks for.
int original_steps(const char* who, const ConsistencyConfig& config, const RunOptions& options) {
  const int trained = config.schedule.num_train_timesteps;
  const int original = options.original_inference_steps.value_or(config.original_inference_steps);
  if (original < 1 || original > trained)
    throw ArgumentError(who, "original_inference_steps is " + std::to_string(original) +
                                 ", expected 1 to num_train_timesteps, " + std::to_string(trained));
  if (!(options.strength > 0.0 && options.strength <= 1.0))
    throw ArgumentError(who, "strength is " + std::to_string(options.strength) + ", expected above 0 to 1");
  return original;
}

/// The run's timesteps, spread over those it may choose from.
std::vector<double> timesteps_of(const char* who, const ConsistencyConfig& config, const RunOptions& options,
                                 const Distillation& from) {
  check_run(who, options, config.schedule.num_train_timesteps, {.timesteps = true});
  if (!options.timesteps.empty()) {
    if (options.strength < 1.0)
      throw ArgumentError(who, "custom timesteps do not go together with a strength below 1");
    return options.timesteps;
  }
  const int original = original_steps(who, config, options), most = std::min(original, from.count);
  if (options.steps > most)
    throw ArgumentError(who, "the number of steps is " + std::to_string(options.steps) +
                                 ", expected at most original_inference_steps = " + std::to_string(original) +
                                 (most < original ? " times strength" : ""));
  std::vector<double> result;
  for (int k = 0; k < options.steps; ++k) {
    // numpy.linspace without its end, rounded down.
    const double step = static_cast<double>(from.count) / options.steps;
    const int index = static_cast<int>(k * step);
    result.push_back((from.count - index) * from.stride - 1);
  }
  return result;
}

class LcmRun final : public DiscreteRun {
 public:
  LcmRun(const LcmConfig& config, const NoiseSchedule& schedule, const RunOptions& options)
      : DiscreteRun(lcm_name, schedule), config_(config) {
    const int trained = config.schedule.num_train_timesteps,
              original = original_steps(lcm_name, config, options);
    const Distillation from{.count = static_cast<int>(original * options.strength),
                            .stride = trained / original};
    prepare(timesteps_of(lcm_name, config, options, from), options.first_call, config.prediction_type,
            config.limits);
  }

 private:
  Tensor<float> advance(const Tensor<float>& model_output, Index i, const Tensor<float>& sample,
                        const NoiseSource& noise) override {
    const float t = static_cast<float>(timestep(i)) * static_cast<float>(config_.timestep_scaling);
    constexpr float sigma_data = 0.5f;
    const float variance = t * t + sigma_data * sigma_data;
    const float c_skip = sigma_data * sigma_data / variance, c_out = t / std::sqrt(variance);
    const Tensor<float> original =
        limit_original(predict_original(config_.prediction_type, model_output, sample, mixture(timestep(i))),
                       config_.limits);
    const Tensor<float> denoised = mix(original, sample, {.alpha = c_out, .sigma = c_skip});
    Tensor<float> result = i + 1 == calls()
                               ? denoised.clone()
                               : mix(denoised, draw(noise, sample.shape()), mixture(timestep(i + 1)));
    pred_original_sample_ = denoised;
    return result;
  }

  LcmConfig config_;
};

class TcdRun final : public DiscreteRun {
 public:
  TcdRun(const TcdConfig& config, const NoiseSchedule& schedule, const RunOptions& options)
      : DiscreteRun(tcd_name, schedule), config_(config), eta_(options.eta) {
    const int trained = config.schedule.num_train_timesteps,
              original = original_steps(tcd_name, config, options);
    // A number that the run gives is not looked at but for its being there.
    const int all = options.original_inference_steps ? trained : original;
    const Distillation from{.count = static_cast<int>(all * options.strength), .stride = trained / all};
    prepare(timesteps_of(tcd_name, config, options, from), options.first_call, config.prediction_type);
  }

 private:
  Tensor<float> advance(const Tensor<float>& model_output, Index i, const Tensor<float>& sample,
                        const NoiseSource& noise) override {
    const bool last = i + 1 == calls();
    const int next = last ? 0 : timestep(i + 1);
    // float32 as in the reference: rounding down makes the last bit count.
    const auto s = static_cast<int>(std::floor(static_cast<float>(1.0 - eta_) * static_cast<float>(next)));
    const Mixture at = mixture(timestep(i));
    pred_original_sample_ = predict_original(config_.prediction_type, model_output, sample, at);
    const Tensor<float> epsilon = predict_epsilon(config_.prediction_type, model_output, sample, at);
    Tensor<float> result = mix(pred_original_sample_, epsilon, mixture(s));
    if (eta_ == 0.0 || last) return result;
    const float ratio = alpha_prod(next) / alpha_prod(s);
    return mix(result, draw(noise, sample.shape()),
               {.alpha = std::sqrt(ratio), .sigma = std::sqrt(1.0f - ratio)});
  }

  TcdConfig config_;
  double eta_;
};

void read_consistency(const daguerre::Config& config, ConsistencyConfig& result) {
  result.schedule = read_noise_schedule(config, {.zero_snr = true}, result.schedule);
  result.prediction_type = read_prediction_type(config);
  result.original_inference_steps = config.get("original_inference_steps", result.original_inference_steps);
}

void check_consistency(const char* who, const ConsistencyConfig& config) {
  const int trained = config.schedule.num_train_timesteps;
  if (config.original_inference_steps < 1 || config.original_inference_steps > trained)
    throw ConfigError(who, "original_inference_steps is " + std::to_string(config.original_inference_steps) +
                               ", expected 1 to num_train_timesteps, " + std::to_string(trained));
}

}  // namespace

ConsistencyConfig::ConsistencyConfig() {
  schedule.beta_start = 0.00085;
  schedule.beta_end = 0.012;
  schedule.beta_schedule = BetaSchedule::scaled_linear;
}

LcmConfig LcmConfig::from(const daguerre::Config& config) {
  LcmConfig result;
  read_consistency(config, result);
  result.limits = read_limits(config, false);
  result.timestep_scaling = config.get("timestep_scaling", result.timestep_scaling);
  return result;
}

LcmSampler::LcmSampler(const LcmConfig& config)
    : config_(config), schedule_(config.schedule, TerminalAlpha::exact) {
  check_consistency(lcm_name, config);
}

std::unique_ptr<SamplerRun> LcmSampler::start(const RunOptions& options) const {
  return std::make_unique<LcmRun>(config_, schedule_, options);
}

TcdConfig TcdConfig::from(const daguerre::Config& config) {
  TcdConfig result;
  read_consistency(config, result);
  return result;
}

TcdSampler::TcdSampler(const TcdConfig& config)
    : config_(config), schedule_(config.schedule, TerminalAlpha::exact) {
  check_consistency(tcd_name, config);
}

std::unique_ptr<SamplerRun> TcdSampler::start(const RunOptions& options) const {
  if (!(options.eta >= 0.0 && options.eta <= 1.0))
    throw ArgumentError(tcd_name, "eta is " + std::to_string(options.eta) + ", expected 0 to 1");
  return std::make_unique<TcdRun>(config_, schedule_, options);
}

}  // namespace daguerre::samplers

#include "daguerre/samplers/flow_match.hpp"

#include <cmath>
#include <utility>

#include "daguerre/tensor/eigen.hpp"
#include "samplers/numerics.hpp"
#include "samplers/read_config.hpp"
#include "samplers/runs.hpp"

namespace daguerre::samplers {
namespace {

constexpr const char* euler_name = "FlowMatchEulerDiscreteScheduler";
constexpr const char* heun_name = "FlowMatchHeunDiscreteScheduler";

template <class Real>
Real shifted(Real sigma, Real shift) {
  return shift * sigma / (Real(1) + (shift - Real(1)) * sigma);
}

/// Evenly spaced levels before the last shift, from the table's first level, 1, to its last one, which is
/// shifted already unless the shift is dynamic.
std::vector<double> even_levels(const FlowMatchConfig& config, bool shift_table, int steps) {
  const auto count = static_cast<float>(config.num_train_timesteps);
  float smallest = 1.0f / count;
  if (shift_table) smallest = shifted(smallest, static_cast<float>(config.shift));
  auto levels = numerics::numpy_linspace(config.num_train_timesteps,
                                         static_cast<double>(smallest) * config.num_train_timesteps, steps);
  for (double& level : levels) level /= config.num_train_timesteps;
  return levels;
}

/// Samples are (1 - sigma) x_0 + sigma noise.
class FlowRun : public SigmaRun {
 protected:
  using SigmaRun::SigmaRun;

  /// Fills the timesteps of the levels, of which there are as many.
  void set_timesteps(std::span<const float> levels, int num_train_timesteps) {
    for (const float level : levels) timesteps_.push_back(level * static_cast<float>(num_train_timesteps));
  }

 private:
  Tensor<float> scale(const Tensor<float>& sample, Index) const final { return sample; }
  Tensor<float> noised(const Tensor<float>& original, const Tensor<float>& noise, Index i) const final {
    return mix(original, noise, {.alpha = 1.0f - sigma(i), .sigma = sigma(i)});
  }
};

class FlowMatchEulerRun final : public FlowRun {
 public:
  FlowMatchEulerRun(const FlowMatchEulerConfig& config, const RunOptions& options) : FlowRun(euler_name) {
    auto levels = options.sigmas.empty() ? even_levels(config, !config.use_dynamic_shifting, options.steps)
                                         : options.sigmas;
    for (double& level : levels) {
      if (config.use_dynamic_shifting)
        level = std::exp(*options.mu) / (std::exp(*options.mu) + (1.0 / level - 1.0));
      else
        level = shifted(level, config.shift);
      sigmas_.push_back(static_cast<float>(level));
    }
    set_timesteps(sigmas_, config.num_train_timesteps);
    sigmas_.push_back(0.0f);
    begin(options.first_call);
  }

 private:
  Tensor<float> advance(const Tensor<float>& model_output, Index i, const Tensor<float>& sample,
                        const NoiseSource&) override {
    pred_original_sample_ = mix(sample, model_output, {.alpha = 1.0f, .sigma = -sigma(i)});
    return mix(sample, model_output, {.alpha = 1.0f, .sigma = sigma(i + 1) - sigma(i)});
  }
};

class FlowMatchHeunRun final : public FlowRun {
 public:
  FlowMatchHeunRun(const FlowMatchConfig& config, const RunOptions& options)
      : FlowRun(heun_name), options_(options) {
    std::vector<float> levels;
    for (const double level : even_levels(config, true, options.steps))
      levels.push_back(static_cast<float>(shifted(level, config.shift)));
    set_timesteps(repeat_later(std::vector<double>(levels.begin(), levels.end())),
                  config.num_train_timesteps);
    levels.push_back(0.0f);
    sigmas_ = repeat_inner(levels);
    begin(options.first_call);
  }

 private:
  Tensor<float> advance(const Tensor<float>& model_output, Index i, const Tensor<float>& sample,
                        const NoiseSource& noise) override {
    // The second call of a step churns too in the reference, without an effect but on the noise stream.
    const bool first = i % 2 == 0;
    const auto [x, sigma_hat] = churn(sample, sigma(first ? i : i - 1), sigmas_.size() - 1, options_, noise);
    const float at = first ? sigma_hat : sigma(i);
    pred_original_sample_ = mix(x, model_output, {.alpha = 1.0f, .sigma = -sigma(i)});
    // Without churn this is the model output again, but for the rounding, which is the reference's.
    Tensor<float> derivative(sample.shape());
    array(derivative) = (array(x) - array(std::as_const(pred_original_sample_))) / at;
    return first ? stages_.predict(x, std::move(derivative), sigma(i + 1) - at) : stages_.correct(derivative);
  }

  RunOptions options_;
  HeunStages stages_;
};

void read_flow(const weights::Config& config, FlowMatchConfig& result) {
  result.num_train_timesteps = config.get("num_train_timesteps", result.num_train_timesteps);
  result.shift = config.get("shift", result.shift);
}

void check_flow(const char* who, const FlowMatchConfig& config) {
  if (config.num_train_timesteps < 1 || !(config.shift > 0.0 && std::isfinite(config.shift)))
    throw ConfigError(who, "num_train_timesteps is " + std::to_string(config.num_train_timesteps) +
                               " and shift " + std::to_string(config.shift) + ", expected positive numbers");
}

}  // namespace

FlowMatchEulerConfig FlowMatchEulerConfig::from(const weights::Config& config) {
  FlowMatchEulerConfig result;
  read_flow(config, result);
  result.use_dynamic_shifting = config.get("use_dynamic_shifting", result.use_dynamic_shifting);
  result.base_shift = config.get("base_shift", result.base_shift);
  result.max_shift = config.get("max_shift", result.max_shift);
  result.base_image_seq_len = config.get("base_image_seq_len", result.base_image_seq_len);
  result.max_image_seq_len = config.get("max_image_seq_len", result.max_image_seq_len);
  return result;
}

double FlowMatchEulerConfig::mu(Index image_seq_len) const {
  const double slope = (max_shift - base_shift) / (max_image_seq_len - base_image_seq_len);
  return static_cast<double>(image_seq_len) * slope + (base_shift - slope * base_image_seq_len);
}

FlowMatchEulerSampler::FlowMatchEulerSampler(const FlowMatchEulerConfig& config) : config_(config) {
  check_flow(euler_name, config);
}

std::unique_ptr<SamplerRun> FlowMatchEulerSampler::start(const RunOptions& options) const {
  check_run(euler_name, options, config_.num_train_timesteps, {.sigmas = true});
  if (!options.sigmas.empty() && (options.sigmas.front() > 1.0 || options.sigmas.back() <= 0.0))
    throw ArgumentError(euler_name, "custom sigmas must lie above 0 and not above 1");
  if (config_.use_dynamic_shifting && !options.mu)
    throw ArgumentError(euler_name, "use_dynamic_shifting is on and mu was not given");
  return std::make_unique<FlowMatchEulerRun>(config_, options);
}

FlowMatchHeunSampler::Config FlowMatchHeunSampler::Config::from(const weights::Config& config) {
  Config result;
  read_flow(config, result);
  return result;
}

FlowMatchHeunSampler::FlowMatchHeunSampler(const Config& config) : config_(config) {
  check_flow(heun_name, config);
}

std::unique_ptr<SamplerRun> FlowMatchHeunSampler::start(const RunOptions& options) const {
  check_run(heun_name, options, config_.num_train_timesteps);
  check_two_stage_begin(heun_name, options);
  return std::make_unique<FlowMatchHeunRun>(config_, options);
}

}  // namespace daguerre::samplers

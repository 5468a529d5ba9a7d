#include "daguerre/samplers/flow_match.hpp"

#include <cmath>
#include <utility>

#include "daguerre/core/eigen.hpp"
#include "samplers/flow_levels.hpp"
#include "samplers/numerics.hpp"
#include "samplers/read_config.hpp"
#include "samplers/runs.hpp"
#include "samplers/scheduler_keys.hpp"

namespace daguerre::samplers {
namespace {

constexpr const char* flow_euler_name = "FlowMatchEulerDiscreteScheduler";
constexpr const char* flow_heun_name = "FlowMatchHeunDiscreteScheduler";

/// Evenly spaced levels before the last shift, from the table's first level, 1, to its last one, which is
/// shifted already unless the shift is dynamic.
std::vector<double> even_levels(const FlowMatchConfig& config, bool shift_table, int steps) {
  const auto count = static_cast<float>(config.num_train_timesteps);
  float smallest = 1.0f / count;
  if (shift_table) smallest = shifted_sigma(smallest, static_cast<float>(config.shift));
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

/// The levels before the spacing and the inversion.
template <class Real>
std::vector<double> shifted_levels(const FlowMatchEulerConfig& config, std::vector<Real> levels,
                                   const std::optional<double>& mu) {
  for (Real& level : levels)
    level = config.use_dynamic_shifting ? time_shifted_sigma(level, time_shift_factor(config.time_shift, *mu))
                                        : shifted_sigma(level, static_cast<Real>(config.shift));
  if (config.shift_terminal && *config.shift_terminal != 0.0)
    stretch_to_terminal(flow_euler_name, levels, *config.shift_terminal);
  return {levels.begin(), levels.end()};
}

std::vector<double> euler_levels(const FlowMatchEulerConfig& config, const RunOptions& options) {
  std::vector<float> given(options.sigmas.begin(), options.sigmas.end());
  if (given.empty())
    for (const double t : options.timesteps)
      given.push_back(static_cast<float>(t) / static_cast<float>(config.num_train_timesteps));
  auto levels = given.empty()
                    ? shifted_levels(config, even_levels(config, !config.use_dynamic_shifting, options.steps),
                                     options.mu)
                : !config.round_given_levels && !options.sigmas.empty()
                    ? shifted_levels(config, options.sigmas, options.mu)
                    : shifted_levels(config, given, options.mu);
  if (config.sigma_spacing == SigmaSpacing::timesteps) return levels;
  return spaced_sigmas(config.sigma_spacing, config.sigma_min.value_or(levels.back()),
                       config.sigma_max.value_or(levels.front()), static_cast<int>(levels.size()));
}

class FlowMatchEulerRun final : public FlowRun {
 public:
  FlowMatchEulerRun(const FlowMatchEulerConfig& config, const RunOptions& options)
      : FlowRun(flow_euler_name), config_(config) {
    for (const double level : euler_levels(config, options)) {
      if (!std::isfinite(level))
        throw ArgumentError(flow_euler_name, "a noise level is " + std::to_string(level) +
                                                 ", by what mu and the given levels are");
      const auto sigma = static_cast<float>(level);
      sigmas_.push_back(config.invert_sigmas ? 1.0f - sigma : sigma);
    }
    if (config.keep_given_timesteps && !config.invert_sigmas && !options.timesteps.empty())
      timesteps_.assign(options.timesteps.begin(), options.timesteps.end());
    else
      set_timesteps(sigmas_, config.num_train_timesteps);
    sigmas_.push_back(config.invert_sigmas ? 1.0f : 0.0f);
    begin(options.first_call);
  }

 private:
  Tensor<float> advance(const Tensor<float>& model_output, Index i, const Tensor<float>& sample,
                        const NoiseSource& noise) override {
    const float at = sigma(i), next = sigma(i + 1);
    if (config_.stochastic_sampling) {
      pred_original_sample_ = mix(sample, model_output, {.alpha = 1.0f, .sigma = -at});
      return mix(pred_original_sample_, draw(noise, sample.shape()), {.alpha = 1.0f - next, .sigma = next});
    }
    pred_original_sample_ = mix(sample, model_output, {.alpha = 1.0f, .sigma = sigmas_.back() - at});
    return mix(sample, model_output, {.alpha = 1.0f, .sigma = next - at});
  }

  FlowMatchEulerConfig config_;
};

class FlowMatchHeunRun final : public FlowRun {
 public:
  FlowMatchHeunRun(const FlowMatchConfig& config, const RunOptions& options)
      : FlowRun(flow_heun_name), options_(options) {
    std::vector<float> levels;
    for (const double level : even_levels(config, true, options.steps))
      levels.push_back(static_cast<float>(shifted_sigma(level, config.shift)));
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

void read_flow(const daguerre::Config& config, bool shifted, FlowMatchConfig& result) {
  result.num_train_timesteps = config.get("num_train_timesteps", result.num_train_timesteps);
  if (shifted) result.shift = config.get("shift", result.shift);
}

void check_flow(const char* who, const FlowMatchConfig& config) {
  if (config.num_train_timesteps < 1)
    throw ConfigError(who, "num_train_timesteps is " + std::to_string(config.num_train_timesteps) +
                               ", expected at least 1");
  check_flow_shift(who, config.shift);
}

}  // namespace

FlowMatchEulerConfig FlowMatchEulerConfig::from(const daguerre::Config& config) {
  FlowMatchEulerConfig result;
  result.use_dynamic_shifting = config.get("use_dynamic_shifting", result.use_dynamic_shifting);
  read_flow(config, !result.use_dynamic_shifting, result);
  result.time_shift = read_time_shift(config);
  if (result.use_dynamic_shifting) {
    result.base_shift = config.get("base_shift", result.base_shift);
    result.max_shift = config.get("max_shift", result.max_shift);
    result.base_image_seq_len = config.get("base_image_seq_len", result.base_image_seq_len);
    result.max_image_seq_len = config.get("max_image_seq_len", result.max_image_seq_len);
  }
  result.shift_terminal = config.optional_double("shift_terminal");
  result.sigma_spacing = read_sigma_spacing(config, false);
  read_sigma_ends(config, result.sigma_spacing, result.sigma_min, result.sigma_max);
  result.invert_sigmas = config.get("invert_sigmas", result.invert_sigmas);
  result.stochastic_sampling = config.get("stochastic_sampling", result.stochastic_sampling);
  result.round_given_levels = !written_before(config, {0, 32});
  result.keep_given_timesteps = written_before(config, {0, 40});
  return result;
}

double FlowMatchEulerConfig::mu(Index image_seq_len) const {
  const double slope = (max_shift - base_shift) / (max_image_seq_len - base_image_seq_len);
  return static_cast<double>(image_seq_len) * slope + (base_shift - slope * base_image_seq_len);
}

FlowMatchEulerSampler::FlowMatchEulerSampler(const FlowMatchEulerConfig& config) : config_(config) {
  check_flow(flow_euler_name, config);
  if (config.sigma_spacing == SigmaSpacing::lu)
    throw ConfigError(flow_euler_name, "the sigma spacing of Lu is not possible");
  for (const auto& end : {config.sigma_min, config.sigma_max}) check_sigma_end(flow_euler_name, end);
  if (config.shift_terminal) check_shift_terminal(flow_euler_name, *config.shift_terminal);
}

std::unique_ptr<SamplerRun> FlowMatchEulerSampler::start(const RunOptions& options) const {
  check_run(
      flow_euler_name, options, config_.num_train_timesteps,
      {.timesteps = true, .sigmas = true, .both = true, .largest_timestep = config_.num_train_timesteps});
  if (!options.sigmas.empty() && (options.sigmas.front() > 1.0 || options.sigmas.back() <= 0.0))
    throw ArgumentError(flow_euler_name, "custom sigmas must lie above 0 and not above 1");
  if (config_.use_dynamic_shifting && !options.mu)
    throw ArgumentError(flow_euler_name, "use_dynamic_shifting is on and mu was not given");
  return std::make_unique<FlowMatchEulerRun>(config_, options);
}

FlowMatchHeunSampler::Config FlowMatchHeunSampler::Config::from(const daguerre::Config& config) {
  Config result;
  read_flow(config, true, result);
  return result;
}

FlowMatchHeunSampler::FlowMatchHeunSampler(const Config& config) : config_(config) {
  check_flow(flow_heun_name, config);
}

std::unique_ptr<SamplerRun> FlowMatchHeunSampler::start(const RunOptions& options) const {
  check_run(flow_heun_name, options, config_.num_train_timesteps);
  check_two_stage_begin(flow_heun_name, options);
  return std::make_unique<FlowMatchHeunRun>(config_, options);
}

}  // namespace daguerre::samplers

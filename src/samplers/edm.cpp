#include "daguerre/samplers/edm.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "daguerre/core/eigen.hpp"
#include "samplers/dpm_solver_run.hpp"
#include "samplers/numerics.hpp"
#include "samplers/read_config.hpp"
#include "samplers/runs.hpp"
#include "samplers/scheduler_keys.hpp"

namespace daguerre::samplers {

float EdmPreconditioning::c_in(float sigma) const {
  if (prediction_type == PredictionType::sample) return 1.0f;
  return 1.0f / std::sqrt(sigma * sigma + sigma_data * sigma_data);
}

float EdmPreconditioning::c_noise(float sigma) const {
  return prediction_type == PredictionType::sample ? sigma : 0.25f * std::log(sigma);
}

Tensor<float> EdmPreconditioning::denoised(const Tensor<float>& x, const Tensor<float>& model_output,
                                           float sigma) const {
  if (prediction_type == PredictionType::sample) return model_output.clone();
  const float variance = sigma * sigma + sigma_data * sigma_data;
  const float c_skip = sigma_data * sigma_data / variance;
  const float c_out = sigma * sigma_data / std::sqrt(variance);
  return mix(x, model_output,
             {.alpha = c_skip, .sigma = prediction_type == PredictionType::epsilon ? c_out : -c_out});
}

namespace {

constexpr const char* edm_euler_name = "EDMEulerScheduler";
constexpr const char* dpm_name = "EDMDPMSolverMultistepScheduler";
constexpr const char* paper_name = "EDMSampler";

Tensor<float> scaled(const Tensor<float>& x, float factor) {
  Tensor<float> result(x.shape());
  array(result) = array(x) * factor;
  return result;
}

/// diffusers starts from the standard deviation of a noisy sample with data of unit variance.
float init_sigma(const EdmConfig& config) {
  return static_cast<float>(std::sqrt(config.sigma_max * config.sigma_max + 1.0));
}

std::vector<float> level_sigmas(const EdmConfig& config, int steps) {
  return spaced_sigmas_float32(config.sigma_spacing, config.sigma_min, config.sigma_max, steps, config.rho);
}

std::vector<float> noise_conditions(const EdmConfig& config, std::span<const float> sigmas) {
  std::vector<float> result;
  for (const float sigma : sigmas) result.push_back(config.preconditioning.c_noise(sigma));
  return result;
}

/// The levels of Euler's method.
std::vector<float> euler_sigmas(const EdmConfig& config, const RunOptions& options) {
  const bool karras = config.sigma_spacing == SigmaSpacing::karras;
  const int steps = options.sigmas.empty() ? options.steps : static_cast<int>(options.sigmas.size());
  if (!karras || (options.sigmas.empty() && config.level_form == LevelForm::float32))
    return level_sigmas(config, steps);
  const auto places = options.sigmas.empty() ? numerics::numpy_linspace(0.0, 1.0, steps) : options.sigmas;
  const double low = std::pow(config.sigma_min, 1.0 / config.rho);
  const double high = std::pow(config.sigma_max, 1.0 / config.rho);
  std::vector<float> result;
  for (const double place : places)
    result.push_back(static_cast<float>(std::pow(high + place * (low - high), config.rho)));
  return result;
}

class EdmEulerRun final : public SigmaRun {
 public:
  EdmEulerRun(const EdmConfig& config, const RunOptions& options)
      : SigmaRun(edm_euler_name), config_(config), options_(options) {
    sigmas_ = euler_sigmas(config, options);
    timesteps_ = noise_conditions(config, sigmas_);
    sigmas_.push_back(config.final_sigma == FinalSigma::zero ? 0.0f : sigmas_.back());
    init_noise_sigma_ = init_sigma(config);
    begin(options.first_call);
  }

 private:
  Tensor<float> scale(const Tensor<float>& sample, Index i) const override {
    return scaled(sample, config_.preconditioning.c_in(sigma(i)));
  }

  Tensor<float> advance(const Tensor<float>& model_output, Index i, const Tensor<float>& sample,
                        const NoiseSource& noise) override {
    const auto [x, sigma_hat] = churn(sample, sigma(i), sigmas_.size() - 1, options_, noise);
    pred_original_sample_ = config_.preconditioning.denoised(x, model_output, sigma_hat);
    return euler_step(x, pred_original_sample_, sigma_hat, sigma(i + 1));
  }

  EdmConfig config_;
  RunOptions options_;
};

class EdmDpmMultistepRun final : public DpmMultistepRun {
 public:
  EdmDpmMultistepRun(const EdmDpmMultistepConfig& config, const RunOptions& options)
      : DpmMultistepRun(dpm_name, config.method), edm_(config.edm) {
    sigmas_ = level_sigmas(edm_, options.steps);
    timesteps_ = noise_conditions(edm_, sigmas_);
    sigmas_.push_back(config.method.final_sigma == FinalSigma::zero ? 0.0f
                                                                    : static_cast<float>(edm_.sigma_min));
    for (const float sigma : sigmas_) levels_.emplace_back(1.0f, sigma);
    init_noise_sigma_ = init_sigma(edm_);
    make_plan(options.first_call);
  }

 private:
  Tensor<float> scale(const Tensor<float>& sample, Index i) const override {
    return scaled(sample, edm_.preconditioning.c_in(level(i).sigma));
  }
  Tensor<float> original(const Tensor<float>& model_output, Index i,
                         const Tensor<float>& sample) const override {
    return edm_.preconditioning.denoised(sample, model_output, level(i).sigma);
  }

  EdmConfig edm_;
};

class EdmRun final : public SigmaRun {
 public:
  EdmRun(const EdmConfig& config, const RunOptions& options)
      : SigmaRun(paper_name), config_(config), options_(options) {
    const auto levels =
        spaced_sigmas(config.sigma_spacing, config.sigma_min, config.sigma_max, options.steps, config.rho);
    sigmas_ = repeat_inner(with_final_sigma(levels, FinalSigma::zero, 0.0f));
    for (std::size_t i = 0; i + 1 < sigmas_.size(); ++i)
      timesteps_.push_back(config.preconditioning.c_noise(called_at(static_cast<Index>(i))));
    init_noise_sigma_ = sigmas_.front();
    begin(options.first_call);
  }

 private:
  /// The level after churning, lines 4 and 5.
  float sigma_hat(Index i) const {
    const float level = sigma(i);
    if (!(options_.s_tmin <= level && level <= options_.s_tmax)) return level;
    const double gamma = std::min(options_.s_churn / options_.steps, std::numbers::sqrt2 - 1.0);
    return static_cast<float>(level + gamma * level);
  }
  /// The level that the model sees: the first call of a step is made after churning.
  float called_at(Index i) const { return i % 2 == 0 ? sigma_hat(i) : sigma(i); }

  Tensor<float> perturbed(const Tensor<float>& sample, Index i, const NoiseSource& noise) override {
    perturbed_ = i;
    if (i % 2 != 0) return sample;
    const double level = sigma(i), to = sigma_hat(i);
    if (!noise && to == level) return sample;
    const Tensor<float> drawn = draw(noise, sample.shape());
    if (to == level) return sample;
    return mix(
        sample, drawn,
        {.alpha = 1.0f, .sigma = static_cast<float>(std::sqrt(to * to - level * level) * options_.s_noise)});
  }

  Tensor<float> scale(const Tensor<float>& sample, Index i) const override {
    return scaled(sample, config_.preconditioning.c_in(called_at(i)));
  }

  Tensor<float> advance(const Tensor<float>& model_output, Index i, const Tensor<float>& sample,
                        const NoiseSource&) override {
    const float at = called_at(i);
    if (perturbed_ != i && at != sigma(i))
      throw ArgumentError(paper_name, "step: call " + std::to_string(i) +
                                          " is made after noise was added; call perturb first");
    pred_original_sample_ = config_.preconditioning.denoised(sample, model_output, at);
    Tensor<float> derivative(sample.shape());
    array(derivative) = (array(sample) - array(std::as_const(pred_original_sample_))) / at;
    return i % 2 == 0 ? stages_.predict(sample, std::move(derivative), sigma(i + 1) - at)
                      : stages_.correct(derivative);
  }

  EdmConfig config_;
  RunOptions options_;
  HeunStages stages_;
  Index perturbed_ = -1;
};

void read_edm(const daguerre::Config& config, EdmConfig& result) {
  result.sigma_min = config.get("sigma_min", result.sigma_min);
  result.sigma_max = config.get("sigma_max", result.sigma_max);
  result.rho = config.get("rho", result.rho);
  result.preconditioning.sigma_data =
      static_cast<float>(config.get("sigma_data", static_cast<double>(result.preconditioning.sigma_data)));
  result.sigma_spacing =
      read_choice(config, "sigma_schedule", result.sigma_spacing,
                  {{"karras", SigmaSpacing::karras}, {"exponential", SigmaSpacing::exponential}});
  result.num_train_timesteps = config.get("num_train_timesteps", result.num_train_timesteps);
}

void check_edm(std::string_view who, const EdmConfig& config) {
  check_sigma_end(who, config.sigma_min);
  check_sigma_end(who, config.sigma_max);
  if (!(config.sigma_min < config.sigma_max))
    throw ConfigError(who, "sigma_min is " + std::to_string(config.sigma_min) +
                               ", expected less than sigma_max, " + std::to_string(config.sigma_max));
  if (!(config.rho > 0.0) || !(config.preconditioning.sigma_data > 0.0f))
    throw ConfigError(who, "rho and sigma_data must be positive, found " + std::to_string(config.rho) +
                               " and " + std::to_string(config.preconditioning.sigma_data));
  if (config.sigma_spacing != SigmaSpacing::karras && config.sigma_spacing != SigmaSpacing::exponential)
    throw ConfigError(who, "noise levels can follow Karras's or the exponential spacing");
  if (config.num_train_timesteps < 1)
    throw ConfigError(who, "num_train_timesteps is " + std::to_string(config.num_train_timesteps));
}

}  // namespace

EdmConfig EdmConfig::from(const daguerre::Config& config) {
  EdmConfig result;
  read_edm(config, result);
  result.preconditioning.prediction_type = read_prediction_type(config, {.sample = false});
  result.final_sigma = read_final_sigma(config);
  result.level_form = written_before(config, {0, 34}) ? LevelForm::float32 : LevelForm::float64;
  return result;
}

EdmEulerSampler::EdmEulerSampler(const EdmConfig& config) : config_(config) {
  check_edm(edm_euler_name, config);
}

std::unique_ptr<SamplerRun> EdmEulerSampler::start(const RunOptions& options) const {
  auto tables = options;
  tables.sigmas.clear();
  check_run(edm_euler_name, tables, config_.num_train_timesteps);
  for (std::size_t k = 0; k < options.sigmas.size(); ++k) {
    const double place = options.sigmas[k];
    if (!(place >= 0.0 && place <= 1.0) || (k > 0 && place <= options.sigmas[k - 1]))
      throw ArgumentError(edm_euler_name,
                          "custom sigmas are places that ascend from at least 0 to at most 1; found " +
                              std::to_string(place) + " at position " + std::to_string(k));
  }
  return std::make_unique<EdmEulerRun>(config_, options);
}

EdmDpmMultistepConfig EdmDpmMultistepConfig::from(const daguerre::Config& config) {
  EdmDpmMultistepConfig result;
  result.edm = EdmConfig::from(config);
  read_dpm_method(config, result.method);
  result.method.limits = read_limits(config, std::nullopt);
  result.method.solver_order = config.get("solver_order", result.method.solver_order);
  result.method.lower_order_final = config.get("lower_order_final", result.method.lower_order_final);
  result.method.euler_at_final = config.get("euler_at_final", result.method.euler_at_final);
  return result;
}

EdmDpmMultistepSampler::EdmDpmMultistepSampler(const EdmDpmMultistepConfig& config) : config_(config) {
  check_edm(dpm_name, config.edm);
  check_solver_order(dpm_name, config.method.solver_order);
  if (config.method.algorithm != DpmAlgorithm::dpmsolver_pp &&
      config.method.algorithm != DpmAlgorithm::sde_dpmsolver_pp)
    throw ConfigError(dpm_name, "algorithm_type must be dpmsolver++ or sde-dpmsolver++");
}

std::unique_ptr<SamplerRun> EdmDpmMultistepSampler::start(const RunOptions& options) const {
  check_run(dpm_name, options, config_.edm.num_train_timesteps);
  return std::make_unique<EdmDpmMultistepRun>(config_, options);
}

EdmSampler::Config EdmSampler::Config::from(const daguerre::Config& config) {
  Config result;
  read_edm(config, result);
  if (config.has("prediction_type")) result.preconditioning.prediction_type = read_prediction_type(config);
  return result;
}

EdmSampler::EdmSampler(const Config& config) : config_(config) {
  check_edm(paper_name, config);
}

std::unique_ptr<SamplerRun> EdmSampler::start(const RunOptions& options) const {
  check_run(paper_name, options, config_.num_train_timesteps);
  check_two_stage_begin(paper_name, options);
  return std::make_unique<EdmRun>(config_, options);
}

}  // namespace daguerre::samplers

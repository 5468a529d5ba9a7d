#include "samplers/read_config.hpp"

#include <cmath>
#include <string>

#include "daguerre/error.hpp"

namespace daguerre::samplers {

void refuse_value(const weights::Config& config, std::string_view key, std::string_view found,
                  std::string_view expected) {
  throw ConfigError("samplers", config.source() + ": " + config.class_name() + " with " + std::string(key) +
                                    " = " + std::string(found) + ", expected " + std::string(expected));
}

NoiseScheduleConfig read_noise_schedule(const weights::Config& config, ScheduleKeys keys,
                                        const NoiseScheduleConfig& defaults) {
  NoiseScheduleConfig result = defaults;
  result.num_train_timesteps = config.get("num_train_timesteps", result.num_train_timesteps);
  result.beta_start = config.get("beta_start", result.beta_start);
  result.beta_end = config.get("beta_end", result.beta_end);
  result.trained_betas = config.doubles("trained_betas");
  result.beta_schedule = read_choice(config, "beta_schedule", result.beta_schedule,
                                     {{"linear", BetaSchedule::linear},
                                      {"scaled_linear", BetaSchedule::scaled_linear},
                                      {"squaredcos_cap_v2", BetaSchedule::squaredcos_cap_v2},
                                      {"sigmoid", BetaSchedule::sigmoid},
                                      {"exp", BetaSchedule::exponential}});
  if (result.beta_schedule == BetaSchedule::sigmoid && !keys.sigmoid)
    refuse_value(config, "beta_schedule", "sigmoid", "linear, scaled_linear or squaredcos_cap_v2");
  if (result.beta_schedule == BetaSchedule::exponential && !keys.exponential)
    refuse_value(config, "beta_schedule", "exp", "linear, scaled_linear or squaredcos_cap_v2");
  if (keys.zero_snr) result.rescale_betas_zero_snr = config.get("rescale_betas_zero_snr", false);
  return result;
}

PredictionType read_prediction_type(const weights::Config& config, bool sample_possible) {
  const auto type = read_choice(config, "prediction_type", PredictionType::epsilon,
                                {{"epsilon", PredictionType::epsilon},
                                 {"sample", PredictionType::sample},
                                 {"original_sample", PredictionType::sample},
                                 {"v_prediction", PredictionType::v_prediction}});
  if (type == PredictionType::sample && !sample_possible)
    refuse_value(config, "prediction_type", "sample", "epsilon or v_prediction");
  // Files written before prediction_type existed say it this way; silence would give noise for a picture.
  if (!config.get("predict_epsilon", true) && type == PredictionType::epsilon)
    refuse_value(config, "predict_epsilon", "false", "prediction_type = sample instead");
  return type;
}

OriginalLimits read_limits(const weights::Config& config, std::optional<bool> clip_by_default) {
  OriginalLimits result;
  result.thresholding = config.get("thresholding", false);
  result.dynamic_thresholding_ratio =
      config.get("dynamic_thresholding_ratio", result.dynamic_thresholding_ratio);
  result.sample_max_value = config.get("sample_max_value", result.sample_max_value);
  if (clip_by_default) {
    result.clip_sample = config.get("clip_sample", *clip_by_default);
    result.clip_sample_range = config.get("clip_sample_range", result.clip_sample_range);
  }
  const double ratio = result.dynamic_thresholding_ratio;
  if (!(ratio >= 0.0 && ratio <= 1.0))
    refuse_value(config, "dynamic_thresholding_ratio", std::to_string(ratio), "a value from 0 to 1");
  return result;
}

TimestepSpacing read_timestep_spacing(const weights::Config& config, TimestepSpacing fallback) {
  return read_choice(config, "timestep_spacing", fallback,
                     {{"linspace", TimestepSpacing::linspace},
                      {"leading", TimestepSpacing::leading},
                      {"trailing", TimestepSpacing::trailing}});
}

SigmaSpacing read_sigma_spacing(const weights::Config& config, bool lu_possible) {
  const bool karras = config.get("use_karras_sigmas", false);
  const bool exponential = config.get("use_exponential_sigmas", false);
  const bool beta = config.get("use_beta_sigmas", false);
  if (karras + exponential + beta > 1)
    throw ConfigError("samplers", config.source() +
                                      ": only one of use_karras_sigmas, use_exponential_sigmas and "
                                      "use_beta_sigmas may be true");
  if (karras) return SigmaSpacing::karras;
  if (lu_possible && config.get("use_lu_lambdas", false)) return SigmaSpacing::lu;
  if (exponential) return SigmaSpacing::exponential;
  return beta ? SigmaSpacing::beta : SigmaSpacing::timesteps;
}

void read_sigma_sampler(const weights::Config& config, ScheduleKeys keys, bool sample_possible,
                        SigmaSamplerConfig& result) {
  result.schedule = read_noise_schedule(config, keys, result.schedule);
  result.prediction_type = read_prediction_type(config, sample_possible);
  result.timestep_spacing = read_timestep_spacing(config, result.timestep_spacing);
  result.steps_offset = config.get("steps_offset", result.steps_offset);
  result.sigma_spacing = read_sigma_spacing(config, false);
}

void check_sigma_end(std::string_view who, const std::optional<double>& end) {
  if (end && !(*end > 0.0 && std::isfinite(*end)))
    throw ConfigError(who,
                      "sigma_min or sigma_max is " + std::to_string(*end) + ", expected a positive number");
}

void check_solver_order(std::string_view who, int solver_order) {
  if (solver_order < 1 || solver_order > 3)
    throw ConfigError(who, "solver_order is " + std::to_string(solver_order) + ", expected 1, 2 or 3");
}

void check_lambda_spacing(std::string_view who, SigmaSpacing spacing, bool lu_possible) {
  if (spacing == SigmaSpacing::exponential || spacing == SigmaSpacing::beta)
    throw ConfigError(who, "use_exponential_sigmas and use_beta_sigmas are not possible with this class");
  if (spacing == SigmaSpacing::lu && !lu_possible)
    throw ConfigError(who, "the sigma spacing of Lu is not possible");
}

FinalSigma read_final_sigma(const weights::Config& config) {
  return read_choice(config, "final_sigmas_type", FinalSigma::zero,
                     {{"zero", FinalSigma::zero}, {"sigma_min", FinalSigma::sigma_min}});
}

}  // namespace daguerre::samplers

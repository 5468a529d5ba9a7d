#include "samplers/read_config.hpp"

#include <cmath>
#include <string>

#include "daguerre/core/error.hpp"
#include "samplers/scheduler_keys.hpp"

namespace daguerre::samplers {

void refuse_value(const daguerre::Config& config, std::string_view key, std::string_view found,
                  std::string_view expected) {
  throw ConfigError("samplers", config.source() + ": " + config.class_name() + " with " + std::string(key) +
                                    " = " + std::string(found) + ", expected " + std::string(expected));
}

NoiseScheduleConfig read_noise_schedule(const daguerre::Config& config, ScheduleKeys keys,
                                        const NoiseScheduleConfig& defaults) {
  NoiseScheduleConfig result = defaults;
  result.num_train_timesteps = config.get("num_train_timesteps", result.num_train_timesteps);
  if (keys.zero_snr) result.rescale_betas_zero_snr = config.get("rescale_betas_zero_snr", false);
  result.trained_betas = config.doubles("trained_betas");
  if (config.has("trained_betas")) {
    if (result.trained_betas.empty()) refuse_value(config, "trained_betas", "[]", "a beta for each timestep");
    return result;
  }
  result.beta_schedule = read_choice(config, "beta_schedule", result.beta_schedule,
                                     {{"linear", BetaSchedule::linear},
                                      {"scaled_linear", BetaSchedule::scaled_linear},
                                      {"squaredcos_cap_v2", BetaSchedule::squaredcos_cap_v2},
                                      {"sigmoid", BetaSchedule::sigmoid},
                                      {"exp", BetaSchedule::exponential},
                                      {"laplace", BetaSchedule::laplace}});
  const auto refuse_unless = [&](bool known, BetaSchedule schedule, const char* name) {
    if (result.beta_schedule == schedule && !known)
      refuse_value(config, "beta_schedule", name, "linear, scaled_linear or squaredcos_cap_v2");
  };
  refuse_unless(keys.sigmoid, BetaSchedule::sigmoid, "sigmoid");
  refuse_unless(keys.exponential, BetaSchedule::exponential, "exp");
  refuse_unless(keys.laplace, BetaSchedule::laplace, "laplace");
  if (has_ends(result.beta_schedule)) {
    result.beta_start = config.get("beta_start", result.beta_start);
    result.beta_end = config.get("beta_end", result.beta_end);
  }
  return result;
}

PredictionType read_prediction_type(const daguerre::Config& config, PredictionTypes possible) {
  // Files written before prediction_type existed say it by predict_epsilon.
  const bool named = config.has("prediction_type") || config.is_null("prediction_type");
  const bool old_sample = !named && config.has("predict_epsilon") && !config.get("predict_epsilon", true);
  const auto type =
      read_choice(config, "prediction_type", old_sample ? PredictionType::sample : PredictionType::epsilon,
                  {{"epsilon", PredictionType::epsilon},
                   {"sample", PredictionType::sample},
                   {"original_sample", PredictionType::sample},
                   {"v_prediction", PredictionType::v_prediction},
                   {"flow_prediction", PredictionType::flow_prediction}});
  const bool refused = (type == PredictionType::sample && !possible.sample) ||
                       (type == PredictionType::flow_prediction && !possible.flow);
  if (refused) {
    const std::string expected = std::string("epsilon, ") + (possible.sample ? "sample, " : "") +
                                 (possible.flow ? "flow_prediction, " : "") + "or v_prediction";
    if (old_sample) refuse_value(config, "predict_epsilon", "false", "a prediction_type of " + expected);
    refuse_value(config, "prediction_type", type == PredictionType::sample ? "sample" : "flow_prediction",
                 expected);
  }
  return type;
}

void read_clipping(const daguerre::Config& config, bool clip_by_default, OriginalLimits& result) {
  result.clip_sample = config.get("clip_sample", clip_by_default);
  if (result.clip_sample && !result.thresholding)
    result.clip_sample_range = config.get("clip_sample_range", result.clip_sample_range);
}

OriginalLimits read_limits(const daguerre::Config& config, std::optional<bool> clip_by_default) {
  OriginalLimits result;
  result.thresholding = config.get("thresholding", false);
  if (result.thresholding) {
    result.dynamic_thresholding_ratio =
        config.get("dynamic_thresholding_ratio", result.dynamic_thresholding_ratio);
    result.sample_max_value = config.get("sample_max_value", result.sample_max_value);
    const double ratio = result.dynamic_thresholding_ratio;
    if (!(ratio >= 0.0 && ratio <= 1.0))
      refuse_value(config, "dynamic_thresholding_ratio", std::to_string(ratio), "a value from 0 to 1");
  }
  if (clip_by_default) read_clipping(config, *clip_by_default, result);
  return result;
}

void read_timesteps(const daguerre::Config& config, TimestepSpacing& spacing, int& steps_offset) {
  spacing = read_choice(config, "timestep_spacing", spacing,
                        {{"linspace", TimestepSpacing::linspace},
                         {"leading", TimestepSpacing::leading},
                         {"trailing", TimestepSpacing::trailing}});
  if (spacing == TimestepSpacing::leading) steps_offset = config.get("steps_offset", steps_offset);
}

SigmaSpacing read_sigma_spacing(const daguerre::Config& config, bool lu_possible) {
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

void read_sigma_ends(const daguerre::Config& config, SigmaSpacing spacing, std::optional<double>& sigma_min,
                     std::optional<double>& sigma_max) {
  if (spacing == SigmaSpacing::timesteps || spacing == SigmaSpacing::lu) return;
  sigma_min = config.optional_double("sigma_min");
  sigma_max = config.optional_double("sigma_max");
}

LevelForm read_level_form(const daguerre::Config& config) {
  return written_before(config, {0, 32}) ? LevelForm::float32 : LevelForm::float64;
}

TimeShift read_time_shift(const daguerre::Config& config) {
  return read_choice(config, "time_shift_type", TimeShift::exponential,
                     {{"exponential", TimeShift::exponential}, {"linear", TimeShift::linear}});
}

FinalSigma read_final_sigma(const daguerre::Config& config) {
  return read_choice(config, "final_sigmas_type", FinalSigma::zero,
                     {{"zero", FinalSigma::zero}, {"sigma_min", FinalSigma::sigma_min}});
}

void read_sigma_sampler(const daguerre::Config& config, ScheduleKeys keys, PredictionTypes possible,
                        SigmaSamplerConfig& result) {
  result.schedule = read_noise_schedule(config, keys, result.schedule);
  result.prediction_type = read_prediction_type(config, possible);
  read_timesteps(config, result.timestep_spacing, result.steps_offset);
  result.sigma_spacing = read_sigma_spacing(config, false);
  read_sigma_ends(config, result.sigma_spacing, result.sigma_min, result.sigma_max);
  result.level_form = read_level_form(config);
}

void read_lambda_sampler(const daguerre::Config& config, ScheduleKeys keys, bool lu_possible,
                         LambdaSamplerConfig& result) {
  result.schedule = read_noise_schedule(config, keys, result.schedule);
  result.prediction_type = read_prediction_type(config, {.flow = true});
  result.limits = read_limits(config, std::nullopt);
  result.solver_order = config.get("solver_order", result.solver_order);
  result.sigma_spacing = read_sigma_spacing(config, lu_possible);
  read_sigma_ends(config, result.sigma_spacing, result.sigma_min, result.sigma_max);
  result.flow.use = config.get("use_flow_sigmas", false);
  if (!result.flow.use) return;
  result.flow.dynamic = config.get("use_dynamic_shifting", false);
  if (result.flow.dynamic) result.flow.time_shift = read_time_shift(config);
  result.flow.shift = config.get("flow_shift", result.flow.shift);
}

void check_sigma_end(std::string_view who, const std::optional<double>& end) {
  if (end && !(*end > 0.0 && std::isfinite(*end)))
    throw ConfigError(who,
                      "sigma_min or sigma_max is " + std::to_string(*end) + ", expected a positive number");
}

void check_sigma_sampler(std::string_view who, const SigmaSamplerConfig& config) {
  if (config.sigma_spacing == SigmaSpacing::lu)
    throw ConfigError(who, "the sigma spacing of Lu is not possible");
  for (const auto& end : {config.sigma_min, config.sigma_max}) check_sigma_end(who, end);
}

void check_solver_order(std::string_view who, int solver_order) {
  if (solver_order < 1 || solver_order > 3)
    throw ConfigError(who, "solver_order is " + std::to_string(solver_order) + ", expected 1, 2 or 3");
}

void check_flow_shift(std::string_view who, double shift) {
  if (!(shift > 0.0 && std::isfinite(shift)))
    throw ConfigError(
        who, "the shift of flow levels is " + std::to_string(shift) + ", expected a positive number");
}

void check_shift_terminal(std::string_view who, double terminal) {
  if (!(terminal >= 0.0 && terminal < 1.0))
    throw ConfigError(
        who, "shift_terminal is " + std::to_string(terminal) + ", expected a value from 0 to below 1");
}

void check_lambda_sampler(std::string_view who, const LambdaSamplerConfig& config, bool lu_possible) {
  check_solver_order(who, config.solver_order);
  if (config.sigma_spacing == SigmaSpacing::lu && !lu_possible)
    throw ConfigError(who, "the sigma spacing of Lu is not possible");
  for (const auto& end : {config.sigma_min, config.sigma_max}) check_sigma_end(who, end);
  if (config.flow.use) check_flow_shift(who, config.flow.shift);
}

}  // namespace daguerre::samplers

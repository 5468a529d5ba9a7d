#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "daguerre/config/config.hpp"
#include "daguerre/samplers/flow_sigmas.hpp"
#include "daguerre/samplers/lambda_config.hpp"
#include "daguerre/samplers/noise_schedule.hpp"
#include "daguerre/samplers/prediction.hpp"
#include "daguerre/samplers/sigma_config.hpp"
#include "daguerre/samplers/sigma_schedule.hpp"
#include "daguerre/samplers/timesteps.hpp"

/// The keys that several scheduler configurations have in common. As in Python, a number or a choice that
/// nothing asks for (the ends of a schedule whose betas are given, a shift without flow levels) is not looked
/// at, so that it may be null.
namespace daguerre::samplers {

/// Throws ConfigError: `key` is `found`, `expected` would be possible.
[[noreturn]] void refuse_value(const daguerre::Config& config, std::string_view key, std::string_view found,
                               std::string_view expected);

/// The value that the string at `key` names; `fallback` when the key is absent, `if_null` when it is null and
/// that means something.
template <class T>
T read_choice(const daguerre::Config& config, std::string_view key, T fallback,
              std::initializer_list<std::pair<std::string_view, T>> choices,
              std::optional<T> if_null = std::nullopt) {
  const auto text = config.optional_string(key);
  if (!text && !config.is_null(key)) return fallback;
  if (!text && if_null) return *if_null;
  std::string names;
  for (const auto& [name, value] : choices) {
    if (text && *text == name) return value;
    names += (names.empty() ? "" : ", ") + std::string(name);
  }
  refuse_value(config, key, text.value_or("null"), names);
}

struct ScheduleKeys {
  bool sigmoid = false;      ///< the class knows beta_schedule "sigmoid"
  bool exponential = false;  ///< the class knows beta_schedule "exp"
  bool laplace = false;      ///< the class knows beta_schedule "laplace"
  bool zero_snr = false;     ///< the class knows rescale_betas_zero_snr
};
/// `defaults` holds the class's own.
NoiseScheduleConfig read_noise_schedule(const daguerre::Config& config, ScheduleKeys keys,
                                        const NoiseScheduleConfig& defaults = {});

/// What a class can take beside epsilon and v_prediction.
struct PredictionTypes {
  bool sample = true;
  bool flow = false;
};
PredictionType read_prediction_type(const daguerre::Config& config, PredictionTypes possible = {});

/// `clip_by_default` has a value for the classes that know clip_sample.
OriginalLimits read_limits(const daguerre::Config& config, std::optional<bool> clip_by_default);
/// clip_sample and clip_sample_range.
void read_clipping(const daguerre::Config& config, bool clip_by_default, OriginalLimits& result);

/// timestep_spacing and, where it counts, steps_offset; both hold the class's defaults before.
void read_timesteps(const daguerre::Config& config, TimestepSpacing& spacing, int& steps_offset);

/// use_karras_sigmas and its like, of which one may be true; Lu's only where the class knows it.
SigmaSpacing read_sigma_spacing(const daguerre::Config& config, bool lu_possible);
/// sigma_min and sigma_max, where the spacing has ends. Any class may have them: those that do not take them
/// find them in what another class left.
void read_sigma_ends(const daguerre::Config& config, SigmaSpacing spacing, std::optional<double>& sigma_min,
                     std::optional<double>& sigma_max);
LevelForm read_level_form(const daguerre::Config& config);
TimeShift read_time_shift(const daguerre::Config& config);
FinalSigma read_final_sigma(const daguerre::Config& config);

/// All of SigmaSamplerConfig, whose defaults `result` holds.
void read_sigma_sampler(const daguerre::Config& config, ScheduleKeys keys, PredictionTypes possible,
                        SigmaSamplerConfig& result);
/// All of LambdaSamplerConfig, whose defaults `result` holds.
void read_lambda_sampler(const daguerre::Config& config, ScheduleKeys keys, bool lu_possible,
                         LambdaSamplerConfig& result);

/// sigma_min or sigma_max: positive and finite. Throws ConfigError.
void check_sigma_end(std::string_view who, const std::optional<double>& end);
/// The orders that the multistep solvers have. Throws ConfigError.
void check_solver_order(std::string_view who, int solver_order);
/// What none of the samplers over noise levels can do. Throws ConfigError.
void check_sigma_sampler(std::string_view who, const SigmaSamplerConfig& config);
/// What none of the solvers in lambda can do. Throws ConfigError.
void check_lambda_sampler(std::string_view who, const LambdaSamplerConfig& config, bool lu_possible = false);
/// A shift of flow levels: positive and finite. Throws ConfigError.
void check_flow_shift(std::string_view who, double shift);
/// The last of stretched flow levels: from 0, which stretches nothing, to below 1. Throws ConfigError.
void check_shift_terminal(std::string_view who, double terminal);

}  // namespace daguerre::samplers

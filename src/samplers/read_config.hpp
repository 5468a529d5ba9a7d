#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "daguerre/samplers/noise_schedule.hpp"
#include "daguerre/samplers/prediction.hpp"
#include "daguerre/samplers/sigma_config.hpp"
#include "daguerre/samplers/sigma_schedule.hpp"
#include "daguerre/samplers/timesteps.hpp"
#include "daguerre/weights/config.hpp"

/// The keys that several scheduler configurations have in common.
namespace daguerre::samplers {

/// Throws ConfigError: `key` is `found`, `expected` would be possible.
[[noreturn]] void refuse_value(const weights::Config& config, std::string_view key, std::string_view found,
                               std::string_view expected);

/// The value that the string at `key` names; `fallback` when the key is absent or null.
template <class T>
T read_choice(const weights::Config& config, std::string_view key, T fallback,
              std::initializer_list<std::pair<std::string_view, T>> choices) {
  const auto text = config.optional_string(key);
  if (!text) return fallback;
  std::string names;
  for (const auto& [name, value] : choices) {
    if (*text == name) return value;
    names += (names.empty() ? "" : ", ") + std::string(name);
  }
  refuse_value(config, key, *text, names);
}

struct ScheduleKeys {
  bool sigmoid = false;      ///< the class knows beta_schedule "sigmoid"
  bool exponential = false;  ///< the class knows beta_schedule "exp"
  bool zero_snr = false;     ///< the class knows rescale_betas_zero_snr
};
/// `defaults` holds the class's own.
NoiseScheduleConfig read_noise_schedule(const weights::Config& config, ScheduleKeys keys,
                                        const NoiseScheduleConfig& defaults = {});
PredictionType read_prediction_type(const weights::Config& config, bool sample_possible = true);
/// `clip_by_default` has a value for the classes that know clip_sample.
OriginalLimits read_limits(const weights::Config& config, std::optional<bool> clip_by_default);
TimestepSpacing read_timestep_spacing(const weights::Config& config, TimestepSpacing fallback);
/// use_karras_sigmas and its like, of which one may be true; Lu's only where the class knows it.
SigmaSpacing read_sigma_spacing(const weights::Config& config, bool lu_possible);
/// All of SigmaSamplerConfig, whose defaults `result` holds.
void read_sigma_sampler(const weights::Config& config, ScheduleKeys keys, bool sample_possible,
                        SigmaSamplerConfig& result);
/// sigma_min or sigma_max: positive and finite. Throws ConfigError.
void check_sigma_end(std::string_view who, const std::optional<double>& end);
/// The orders that the multistep solvers have. Throws ConfigError.
void check_solver_order(std::string_view who, int solver_order);
/// The spacings of sigmas that solvers in lambda can follow. Throws ConfigError.
void check_lambda_spacing(std::string_view who, SigmaSpacing spacing, bool lu_possible);
FinalSigma read_final_sigma(const weights::Config& config);

}  // namespace daguerre::samplers

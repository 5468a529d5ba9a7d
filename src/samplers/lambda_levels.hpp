#pragma once

#include <string_view>
#include <vector>

#include "daguerre/samplers/lambda_config.hpp"
#include "daguerre/samplers/sampler.hpp"
#include "samplers/runs.hpp"

namespace daguerre::samplers {

/// How the timesteps of Karras' and Lu's levels become integers.
enum class ToInteger { nearest, down };

/// The levels of solvers in lambda, of one step each and without the final one, and their integer timesteps:
/// those of `timesteps` or, where the configuration has another spacing or flow levels, as many as
/// RunOptions::steps. Follows RunOptions::mu. Throws ArgumentError for custom timesteps together with another
/// spacing, and for levels above 1 on straight paths.
Levels lambda_levels(std::string_view who, const NoiseSchedule& schedule, const LambdaSamplerConfig& config,
                     std::vector<double> timesteps, const RunOptions& options,
                     ToInteger to_integer = ToInteger::nearest);

/// `steps` flow levels below num_train_timesteps - 1 of as many before the shift, which is applied.
std::vector<double> flow_levels(int num_train_timesteps, int steps, double shift);

/// The timesteps of flow levels, rounded down.
std::vector<double> flow_timesteps(std::span<const double> sigmas, int num_train_timesteps);

/// Throws ArgumentError for levels that straight paths do not have.
void check_flow_levels(std::string_view who, std::span<const double> sigmas);

}  // namespace daguerre::samplers

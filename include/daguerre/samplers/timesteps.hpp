#pragma once

#include <string_view>
#include <vector>

namespace daguerre::samplers {

/// Where the sampling timesteps lie on the training timesteps (arXiv:2305.08891, table 2).
enum class TimestepSpacing { linspace, leading, trailing };

struct TimestepGrid {
  TimestepSpacing spacing = TimestepSpacing::leading;
  int num_train_timesteps = 1000;
  /// Training timesteps that are used; below `num_train_timesteps` when the noisiest ones are left out.
  int usable_timesteps = 1000;
  int steps = 50;
  int steps_offset = 0;  ///< added to `leading` timesteps
  bool rounded = true;   ///< `linspace` timesteps are rounded (half to even) or kept as fractions
  /// Take one point more and drop the smallest (`linspace` and `leading`), as DPM-Solver does.
  bool drop_smallest = false;
};

/// The timesteps in descending order. `trailing` gives fewer than `steps` when `usable_timesteps` is reduced,
/// and for some numbers of steps (61 of 1000, for instance), by a rounding error of the reference that is
/// kept here, an additional timestep -1.
std::vector<double> spaced_timesteps(const TimestepGrid& grid);

/// Throws ArgumentError, `who` speaking, unless 1 <= steps <= num_train_timesteps.
void check_steps(std::string_view who, int steps, int num_train_timesteps);

}  // namespace daguerre::samplers

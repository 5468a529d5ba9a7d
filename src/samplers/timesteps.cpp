#include "daguerre/samplers/timesteps.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "daguerre/core/error.hpp"
#include "samplers/numerics.hpp"

namespace daguerre::samplers {

std::vector<double> spaced_timesteps(const TimestepGrid& grid) {
  const int points = grid.steps + (grid.drop_smallest ? 1 : 0);
  std::vector<double> result;
  switch (grid.spacing) {
    case TimestepSpacing::linspace:
      result = numerics::numpy_linspace(0.0, grid.usable_timesteps - 1, points);
      std::reverse(result.begin(), result.end());
      if (grid.rounded)
        for (double& t : result) t = std::nearbyint(t);
      break;
    case TimestepSpacing::leading:
      for (int i = points; i-- > 0;)
        result.push_back(static_cast<double>(i) * (grid.usable_timesteps / points) + grid.steps_offset);
      break;
    case TimestepSpacing::trailing:
      result = numerics::numpy_arange(grid.usable_timesteps, 0.0,
                                      -static_cast<double>(grid.num_train_timesteps) / grid.steps);
      for (double& t : result) t = std::nearbyint(t) - 1.0;
      return result;
  }
  if (grid.drop_smallest) result.pop_back();
  return result;
}

void check_steps(std::string_view who, int steps, int num_train_timesteps) {
  if (steps < 1 || steps > num_train_timesteps)
    throw ArgumentError(who, "the number of steps is " + std::to_string(steps) + ", expected 1 to " +
                                 std::to_string(num_train_timesteps) +
                                 " (the timesteps the model was trained on)");
}

}  // namespace daguerre::samplers

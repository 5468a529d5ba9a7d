#include "samplers/flow_levels.hpp"

#include <cmath>

#include "daguerre/core/error.hpp"

namespace daguerre::samplers {

double time_shift_factor(TimeShift type, double mu) {
  return type == TimeShift::exponential ? std::exp(mu) : mu;
}

template <class Real>
void stretch_to_terminal(std::string_view who, std::vector<Real>& levels, double terminal) {
  const Real distance = Real(1) - levels.back();
  if (!(distance > Real(0)))
    throw ArgumentError(who, "shift_terminal needs a last level below 1; take more steps");
  // Divided in double, where the reference has single numbers, and rounded where it divides all by it.
  const auto scale = static_cast<Real>(static_cast<double>(distance) / (1.0 - terminal));
  for (Real& level : levels) level = Real(1) - (Real(1) - level) / scale;
}
template void stretch_to_terminal(std::string_view, std::vector<float>&, double);
template void stretch_to_terminal(std::string_view, std::vector<double>&, double);

double flow_shift(std::string_view who, const FlowSigmas& flow, const std::optional<double>& mu) {
  if (!mu) return flow.shift;
  if (!flow.dynamic || flow.time_shift != TimeShift::exponential)
    throw ArgumentError(who,
                        "mu was given, which needs use_dynamic_shifting and the exponential "
                        "time_shift_type");
  return std::exp(*mu);
}

}  // namespace daguerre::samplers

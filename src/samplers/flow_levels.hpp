#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "daguerre/samplers/flow_sigmas.hpp"

namespace daguerre::samplers {

/// shift sigma / (1 + (shift - 1) sigma), rounded as Real.
template <class Real>
Real shifted_sigma(Real sigma, Real shift) {
  return shift * sigma / (Real(1) + (shift - Real(1)) * sigma);
}

/// m / (m + 1 / sigma - 1), see TimeShift.
template <class Real>
Real time_shifted_sigma(Real sigma, double m) {
  return static_cast<Real>(m) / (static_cast<Real>(m) + (Real(1) / sigma - Real(1)));
}
/// The m of a shift by mu.
double time_shift_factor(TimeShift type, double mu);

/// The levels with their distances from 1 stretched so that the last one becomes `terminal` (LTX-Video).
/// Throws ArgumentError, `who` speaking, where the last level is 1.
template <class Real>
void stretch_to_terminal(std::string_view who, std::vector<Real>& levels, double terminal);

/// The shift that a run has: that of the configuration, or exp(mu). Throws ArgumentError where mu is given
/// and the configuration does not take it.
double flow_shift(std::string_view who, const FlowSigmas& flow, const std::optional<double>& mu);

}  // namespace daguerre::samplers

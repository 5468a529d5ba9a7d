#pragma once

namespace daguerre::samplers {

/// How a shift by mu moves a level of flow matching towards noise: sigma becomes
/// m / (m + 1 / sigma - 1), where m = 1 leaves it where it is.
enum class TimeShift {
  exponential,  ///< m = exp(mu): FLUX
  linear        ///< m = mu: CogView4
};

/// The levels of straight paths, x = (1 - sigma) x_0 + sigma noise, for samplers that were made for
/// variance-preserving ones (`use_flow_sigmas`).
struct FlowSigmas {
  bool use = false;
  /// arXiv:2403.03206, equation 23: sigma becomes shift sigma / (1 + (shift - 1) sigma).
  double shift = 1.0;
  /// RunOptions::mu may be given and takes the place of `shift`.
  bool dynamic = false;
  TimeShift time_shift = TimeShift::exponential;
};

}  // namespace daguerre::samplers

#pragma once

#include <span>
#include <string>
#include <vector>

#include "daguerre/samplers/dpm_solver.hpp"

namespace daguerre::samplers {

/// The scalars of one step
///   x_t = sample x_s + d0 D0 + d1 D1 + d2 D2 + noise z,
/// and of the differences that D1 and D2 are made of. Entries that the step does not use are zero.
struct DpmStep {
  int order = 1;
  float sample = 0, d0 = 0, d1 = 0, d2 = 0, noise = 0;
  float r0 = 0, r1 = 0;
  float inverse_r0 = 0, inverse_r1 = 0;
  float inverse_r = 0;  ///< 1 / (r0 + r1) in multistep, 1 / (r0 - r1) in singlestep methods

  bool finite() const;
};

/// How much of a step's expansion in lambda is used.
enum class DpmTerms { first, midpoint, derivative, second_derivative };

/// The part of a run that both DPM-Solver samplers share: noise levels, predictions, and the step from level
/// `s` to level `t`.
class DpmSolverRun : public SamplerRun {
 protected:
  DpmSolverRun(std::string name, const DpmSolverConfig& config, const NoiseSchedule& schedule);

  /// The training timesteps that lambda_min_clipped leaves.
  int usable_timesteps() const;
  /// Fills both tables, from `timesteps` or from levels that replace them.
  void set_levels(std::vector<double> timesteps, int steps);
  NoiseLevel level(Index i) const { return NoiseLevel(sigmas_[static_cast<std::size_t>(i)]); }

  bool stochastic() const;
  /// The coefficients of x_t for a step from `s` to `t`.
  DpmStep coefficients(int order, const NoiseLevel& t, const NoiseLevel& s, DpmTerms terms) const;
  /// Throws ArgumentError when the step divides by zero or does not exist.
  void check(const DpmStep& step, Index i) const;

  /// Converts the model output of call `i` to the prediction that is integrated, and remembers it.
  void remember(const Tensor<float>& model_output, Index i, const Tensor<float>& sample);
  /// The prediction made `back` calls ago.
  const Tensor<float>& prediction(std::size_t back) const { return history_[history_.size() - 1 - back]; }
  /// sample x + d0 D0 + noise z, the part that every order has.
  Tensor<float> first_order_part(const DpmStep& step, const Tensor<float>& x, const Tensor<float>& d0,
                                 const NoiseSource& noise) const;

  NoiseSchedule schedule_;

 private:
  Tensor<float> noised(const Tensor<float>& original, const Tensor<float>& noise, Index i) const final;

  DpmSolverConfig config_;
  std::vector<Tensor<float>> history_;
};

/// The keys that both configurations have in common. Throws ConfigError.
void read_dpm_solver(const weights::Config& config, bool lu_possible, DpmSolverConfig& result);
/// Throws ConfigError for what neither sampler can do.
void check_dpm_solver(std::string_view who, const DpmSolverConfig& config);

}  // namespace daguerre::samplers

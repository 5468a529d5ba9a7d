#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daguerre/samplers/dpm_solver.hpp"
#include "samplers/multistep.hpp"
#include "samplers/read_config.hpp"

namespace daguerre::samplers {

/// How much of a step's expansion in lambda is used.
enum class DpmTerms { first, midpoint, derivative, second_derivative };

/// The weights of a step x_t = sample x_s + d0 D0 + d1 D1 + d2 D2 + noise z, where D0, D1 and D2 estimate the
/// prediction and its derivatives in lambda, in units of the step.
struct DpmCoefficients {
  float sample = 0, d0 = 0, d1 = 0, d2 = 0, noise = 0;

  /// The first-order step.
  LinearStep linear(int order) const {
    return {.order = order, .sample = sample, .prediction = d0, .noise = noise};
  }
};

/// The part of a run that all DPM-Solver samplers share: predictions, and the step from level `s` to level
/// `t`.
class DpmSolverRun : public LambdaRun {
 protected:
  DpmSolverRun(std::string name, const DpmSolverConfig& config);

  /// Fills the tables, with the final level that the configuration has.
  void set_tables(const NoiseSchedule& schedule, const Levels& levels);
  /// The training timesteps that lambda_min_clipped leaves.
  int usable_timesteps(const NoiseSchedule& schedule) const;
  /// For a step from `s` to `t`. Throws ArgumentError for an order that the equation has no step of.
  DpmCoefficients coefficients(int order, const NoiseLevel& t, const NoiseLevel& s, DpmTerms terms) const;

  /// Converts the model output of call `i` to the prediction that is integrated, and remembers it.
  void remember(const Tensor<float>& model_output, Index i, const Tensor<float>& sample);
  /// The step, from predictions that were remembered.
  Tensor<float> apply(const LinearStep& step, const Tensor<float>& x, const NoiseSource& noise) const;

 private:
  bool stochastic() const;
  /// x_0 of forms that integrate it, without its limits.
  virtual Tensor<float> original(const Tensor<float>& model_output, Index i,
                                 const Tensor<float>& sample) const;

  DpmSolverConfig config_;
};

/// The multistep method, whatever the levels and the predictions are. Derived constructors fill the tables,
/// then call `make_plan`.
class DpmMultistepRun : public DpmSolverRun {
 protected:
  DpmMultistepRun(std::string name, const DpmMultistepConfig& config)
      : DpmSolverRun(std::move(name), config), config_(config) {}
  void make_plan(Index first_call);

 private:
  LinearStep step_at(Index i, int order) const;
  Tensor<float> advance(const Tensor<float>& model_output, Index i, const Tensor<float>& sample,
                        const NoiseSource& noise) final;

  DpmMultistepConfig config_;
};

/// The keys that both configurations have in common. Throws ConfigError.
void read_dpm_solver(const daguerre::Config& config, ScheduleKeys keys, bool lu_possible,
                     DpmSolverConfig& result);
/// What says how a step is made, also in EDM's class. Throws ConfigError.
void read_dpm_method(const daguerre::Config& config, DpmSolverConfig& result);
/// Throws ConfigError for what none of these samplers can do.
void check_dpm_solver(std::string_view who, const DpmSolverConfig& config, bool lu_possible);

}  // namespace daguerre::samplers

#include <algorithm>

#include "daguerre/samplers/dpm_solver.hpp"
#include "samplers/dpm_solver_run.hpp"
#include "samplers/lambda_levels.hpp"
#include "samplers/read_config.hpp"
#include "samplers/runs.hpp"

namespace daguerre::samplers {
namespace {

constexpr const char* dpm_singlestep_name = "DPMSolverSinglestepScheduler";

/// The order of every call: groups 1, 2, .. solver_order, the last one perhaps shorter. Its last call has
/// order 1 with `first_order_last`, and with `lower_order_final` where the group is whole.
std::vector<int> call_orders(int steps, int solver_order, bool lower_order_final, bool first_order_last) {
  std::vector<int> orders;
  for (int i = 0; i < steps; ++i) orders.push_back(i % solver_order + 1);
  if (first_order_last || (lower_order_final && steps % solver_order == 0)) orders.back() = 1;
  return orders;
}

class DpmSinglestepRun final : public DpmSolverRun {
 public:
  DpmSinglestepRun(const DpmSinglestepConfig& config, const NoiseSchedule& schedule,
                   const RunOptions& options)
      : DpmSolverRun(dpm_singlestep_name, config), config_(config) {
    auto timesteps = !options.timesteps.empty()
                         ? options.timesteps
                         : spaced_timesteps({.spacing = TimestepSpacing::linspace,
                                             .num_train_timesteps = schedule.num_train_timesteps(),
                                             .usable_timesteps = usable_timesteps(schedule),
                                             .steps = options.steps,
                                             .drop_smallest = true});
    set_tables(schedule, lambda_levels(dpm_singlestep_name, schedule, config, std::move(timesteps), options));
    begin_plan(options.first_call);
    const auto steps = static_cast<int>(calls());
    const auto orders = call_orders(steps, config.solver_order, config.lower_order_final,
                                    config.final_sigma == FinalSigma::zero);
    for (Index i = first_call(); i < calls(); ++i)
      // A run that begins within a group has fewer predictions than the group's order asks for.
      plan(step_at(
          i, static_cast<int>(std::min<Index>(orders[static_cast<std::size_t>(i)], i - first_call() + 1))));
  }

 private:
  /// Derivatives are estimated from the differences to the prediction m_s at the beginning of the group.
  LinearStep step_at(Index i, int order) const {
    const bool midpoint = config_.solver_type == DpmSolverType::midpoint;
    const NoiseLevel t = level(i + 1), s0 = level(i), start = level(i - order + 1);
    if (order == 1) return coefficients(1, t, start, DpmTerms::first).linear(1);
    const float h = t.lambda - start.lambda;
    const auto c = coefficients(order, t, start,
                                order == 2 ? (midpoint ? DpmTerms::midpoint : DpmTerms::derivative)
                                           : (midpoint ? DpmTerms::derivative : DpmTerms::second_derivative));
    LinearStep step = c.linear(order);
    step.base = static_cast<std::size_t>(order - 1);
    const float r0 = (s0.lambda - start.lambda) / h, inverse_r0 = 1.0f / r0;
    if (order == 2 || midpoint) {
      step.differences = {c.d1 * inverse_r0};  // D1 = (m0 - ms) / r0
      return step;
    }
    // With the slopes S0 = (m0 - ms) / r0 and S1 = (m1 - ms) / r1: D1 = (r0 S1 - r1 S0) / (r0 - r1) and
    // D2 = 2 (S0 - S1) / (r0 - r1).
    const float r1 = (level(i - 1).lambda - start.lambda) / h, inverse = 1.0f / (r0 - r1);
    step.differences = {(2.0f * c.d2 - c.d1 * r1) * inverse * inverse_r0,
                        (c.d1 * r0 - 2.0f * c.d2) * inverse / r1};
    return step;
  }

  Tensor<float> advance(const Tensor<float>& model_output, Index i, const Tensor<float>& sample,
                        const NoiseSource& noise) override {
    remember(model_output, i, sample);
    if (planned(i).order == 1) start_ = sample.clone();
    return apply(planned(i), start_, noise);
  }

  DpmSinglestepConfig config_;
  Tensor<float> start_;  ///< the sample at the beginning of the group
};

}  // namespace

DpmSinglestepConfig DpmSinglestepConfig::from(const daguerre::Config& config) {
  DpmSinglestepConfig result;
  read_dpm_solver(config, {}, false, result);
  result.lower_order_final = config.get("lower_order_final", result.lower_order_final);
  return result;
}

DpmSinglestepSampler::DpmSinglestepSampler(const DpmSinglestepConfig& config)
    : config_(config), schedule_(config.schedule, TerminalAlpha::finite) {
  check_dpm_solver(dpm_singlestep_name, config, false);
  if (config.algorithm == DpmAlgorithm::sde_dpmsolver)
    throw ConfigError(dpm_singlestep_name,
                      "algorithm_type sde-dpmsolver is not possible; use sde-dpmsolver++");
  if (config.algorithm == DpmAlgorithm::dpmsolver && config.limits.thresholding)
    throw ConfigError(dpm_singlestep_name,
                      "thresholding is not possible with algorithm_type dpmsolver; use dpmsolver++");
}

std::unique_ptr<SamplerRun> DpmSinglestepSampler::start(const RunOptions& options) const {
  check_run(dpm_singlestep_name, options, schedule_.num_train_timesteps(), {.timesteps = true});
  return std::make_unique<DpmSinglestepRun>(config_, schedule_, options);
}

}  // namespace daguerre::samplers

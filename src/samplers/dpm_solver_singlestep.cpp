#include <algorithm>

#include "daguerre/samplers/dpm_solver.hpp"
#include "daguerre/tensor/eigen.hpp"
#include "samplers/dpm_solver_run.hpp"
#include "samplers/read_config.hpp"

namespace daguerre::samplers {
namespace {

constexpr const char* class_name = "DPMSolverSinglestepScheduler";

/// The order of every call: groups 1, 2, .. solver_order, and with `lower_order_final` shorter groups at the
/// end, so that the last call has order 1 or, for solver order 3, at most 2.
std::vector<int> call_orders(int steps, int solver_order, bool lower_order_final) {
  std::vector<int> orders;
  for (int i = 0; i < steps; ++i) orders.push_back(i % solver_order + 1);
  if (!lower_order_final) return orders;
  if (solver_order == 3 && steps % 3 == 0) orders.back() = 1;
  if (solver_order == 2 && steps % 2 == 0) orders.back() = 1;
  return orders;
}

class DpmSinglestepRun final : public DpmSolverRun {
 public:
  DpmSinglestepRun(const DpmSinglestepConfig& config, const NoiseSchedule& schedule,
                   const RunOptions& options)
      : DpmSolverRun(class_name, config, schedule), config_(config), first_call_(options.first_call) {
    set_levels(spaced_timesteps({.spacing = TimestepSpacing::linspace,
                                 .num_train_timesteps = schedule.num_train_timesteps(),
                                 .usable_timesteps = usable_timesteps(),
                                 .steps = options.steps,
                                 .drop_smallest = true}),
               options.steps);
    begin(options.first_call);
    const bool lower_order_final = config.lower_order_final || options.steps % config.solver_order != 0 ||
                                   config.final_sigma == FinalSigma::zero;
    const auto orders = call_orders(options.steps, config.solver_order, lower_order_final);
    for (Index i = first_call_; i < calls(); ++i) {
      // A run that begins within a group has fewer predictions than the group's order asks for.
      plan_.push_back(plan(
          i, static_cast<int>(std::min<Index>(orders[static_cast<std::size_t>(i)], i - first_call_ + 1))));
      check(plan_.back(), i);
    }
  }

 private:
  DpmStep plan(Index i, int order) const {
    const bool midpoint = config_.solver_type == DpmSolverType::midpoint;
    const NoiseLevel t = level(i + 1), s0 = level(i), start = level(i - order + 1);
    if (order == 1) return coefficients(1, t, start, DpmTerms::first);
    const float h = t.lambda - start.lambda;
    DpmStep step = coefficients(order, t, start,
                                order == 2 ? (midpoint ? DpmTerms::midpoint : DpmTerms::derivative)
                                           : (midpoint ? DpmTerms::derivative : DpmTerms::second_derivative));
    const float r0 = (s0.lambda - start.lambda) / h;
    step.inverse_r0 = 1.0f / r0;
    if (order == 3 && !midpoint) {
      step.r0 = r0;
      step.r1 = (level(i - 1).lambda - start.lambda) / h;
      step.inverse_r1 = 1.0f / step.r1;
      step.inverse_r = 1.0f / (step.r0 - step.r1);
    }
    return step;
  }

  Tensor<float> advance(const Tensor<float>& model_output, Index i, const Tensor<float>& sample,
                        const NoiseSource& noise) override {
    const DpmStep& step = plan_[static_cast<std::size_t>(i - first_call_)];
    remember(model_output, i, sample);
    if (step.order == 1) start_ = sample.clone();
    // Predictions at the newest level and at the beginning of the group.
    const Tensor<float>& begin = prediction(static_cast<std::size_t>(step.order - 1));
    const auto m0 = array(prediction(0)), ms = array(begin);
    Tensor<float> result = first_order_part(step, start_, begin, noise);
    if (step.order == 3 && config_.solver_type == DpmSolverType::heun) {
      const auto m1 = array(prediction(1));
      const Eigen::ArrayXf near = step.inverse_r1 * (m1 - ms), far = step.inverse_r0 * (m0 - ms);
      const auto d1 = (step.r0 * near - step.r1 * far) * step.inverse_r;
      const auto d2 = 2.0f * (far - near) * step.inverse_r;
      array(result) += step.d1 * d1 + step.d2 * d2;
    } else if (step.order > 1) {
      array(result) += step.d1 * (step.inverse_r0 * (m0 - ms));
    }
    return result;
  }

  DpmSinglestepConfig config_;
  Index first_call_;
  std::vector<DpmStep> plan_;
  Tensor<float> start_;  ///< the sample at the beginning of the group
};

}  // namespace

DpmSinglestepConfig DpmSinglestepConfig::from(const weights::Config& config) {
  DpmSinglestepConfig result;
  result.schedule = read_noise_schedule(config, {});
  read_dpm_solver(config, false, result);
  result.lower_order_final = config.get("lower_order_final", result.lower_order_final);
  return result;
}

DpmSinglestepSampler::DpmSinglestepSampler(const DpmSinglestepConfig& config)
    : config_(config), schedule_(config.schedule, TerminalAlpha::finite) {
  check_dpm_solver(class_name, config);
  if (config.algorithm == DpmAlgorithm::sde_dpmsolver)
    throw ConfigError(class_name, "algorithm_type sde-dpmsolver is not possible; use sde-dpmsolver++");
  if (config.algorithm == DpmAlgorithm::dpmsolver && config.limits.thresholding)
    throw ConfigError(class_name,
                      "thresholding is not possible with algorithm_type dpmsolver; use dpmsolver++");
  if (config.sigma_spacing == SigmaSpacing::lu)
    throw ConfigError(class_name, "the sigma spacing of Lu is not possible");
}

std::unique_ptr<SamplerRun> DpmSinglestepSampler::start(const RunOptions& options) const {
  check_steps(class_name, options.steps, schedule_.num_train_timesteps());
  return std::make_unique<DpmSinglestepRun>(config_, schedule_, options);
}

}  // namespace daguerre::samplers

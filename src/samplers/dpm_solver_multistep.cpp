#include <algorithm>

#include "daguerre/samplers/dpm_solver.hpp"
#include "daguerre/tensor/eigen.hpp"
#include "samplers/dpm_solver_run.hpp"
#include "samplers/read_config.hpp"

namespace daguerre::samplers {
namespace {

constexpr const char* class_name = "DPMSolverMultistepScheduler";

class DpmMultistepRun final : public DpmSolverRun {
 public:
  DpmMultistepRun(const DpmMultistepConfig& config, const NoiseSchedule& schedule, const RunOptions& options)
      : DpmSolverRun(class_name, config, schedule), config_(config), first_call_(options.first_call) {
    set_levels(spaced_timesteps({.spacing = config.timestep_spacing,
                                 .num_train_timesteps = schedule.num_train_timesteps(),
                                 .usable_timesteps = usable_timesteps(),
                                 .steps = options.steps,
                                 .steps_offset = config.steps_offset,
                                 .drop_smallest = true}),
               options.steps);
    begin(options.first_call);
    for (Index i = first_call_; i < calls(); ++i) {
      plan_.push_back(plan(i));
      check(plan_.back(), i);
    }
  }

 private:
  int order_of(Index i) const {
    const bool few = config_.lower_order_final && calls() < 15;
    const bool last = i == calls() - 1, last_but_one = i == calls() - 2;
    if (last && (config_.euler_at_final || few || config_.final_sigma == FinalSigma::zero)) return 1;
    const int order = last_but_one && few ? std::min(config_.solver_order, 2) : config_.solver_order;
    return static_cast<int>(std::min<Index>(order, i - first_call_ + 1));
  }

  DpmStep plan(Index i) const {
    const int order = order_of(i);
    const NoiseLevel t = level(i + 1), s0 = level(i);
    if (order == 1) return coefficients(1, t, s0, DpmTerms::first);
    const NoiseLevel s1 = level(i - 1);
    const float h = t.lambda - s0.lambda;
    DpmStep step = coefficients(order, t, s0,
                                order == 3                                       ? DpmTerms::second_derivative
                                : config_.solver_type == DpmSolverType::midpoint ? DpmTerms::midpoint
                                                                                 : DpmTerms::derivative);
    const float r0 = (s0.lambda - s1.lambda) / h;
    step.inverse_r0 = 1.0f / r0;
    if (order == 3) {
      const float r1 = (s1.lambda - level(i - 2).lambda) / h;
      step.r0 = r0;
      step.inverse_r1 = 1.0f / r1;
      step.inverse_r = 1.0f / (r0 + r1);
    }
    return step;
  }

  Tensor<float> advance(const Tensor<float>& model_output, Index i, const Tensor<float>& sample,
                        const NoiseSource& noise) override {
    const DpmStep& step = plan_[static_cast<std::size_t>(i - first_call_)];
    remember(model_output, i, sample);
    const auto m0 = array(prediction(0));
    Tensor<float> result = first_order_part(step, sample, prediction(0), noise);
    if (step.order == 2) {
      const auto m1 = array(prediction(1));
      array(result) += step.d1 * (step.inverse_r0 * (m0 - m1));
    } else if (step.order == 3) {
      const auto m1 = array(prediction(1)), m2 = array(prediction(2));
      const Eigen::ArrayXf first = step.inverse_r0 * (m0 - m1), earlier = step.inverse_r1 * (m1 - m2);
      const auto d1 = first + step.r0 * step.inverse_r * (first - earlier);
      const auto d2 = step.inverse_r * (first - earlier);
      array(result) += step.d1 * d1 + step.d2 * d2;
    }
    return result;
  }

  DpmMultistepConfig config_;
  Index first_call_;
  std::vector<DpmStep> plan_;
};

}  // namespace

DpmMultistepConfig DpmMultistepConfig::from(const weights::Config& config) {
  DpmMultistepConfig result;
  result.schedule = read_noise_schedule(config, {.zero_snr = true});
  read_dpm_solver(config, true, result);
  result.timestep_spacing = read_timestep_spacing(config, result.timestep_spacing);
  result.steps_offset = config.get("steps_offset", result.steps_offset);
  result.lower_order_final = config.get("lower_order_final", result.lower_order_final);
  result.euler_at_final = config.get("euler_at_final", result.euler_at_final);
  return result;
}

DpmMultistepSampler::DpmMultistepSampler(const DpmMultistepConfig& config)
    : config_(config), schedule_(config.schedule, TerminalAlpha::finite) {
  check_dpm_solver(class_name, config);
}

std::unique_ptr<SamplerRun> DpmMultistepSampler::start(const RunOptions& options) const {
  check_steps(class_name, options.steps, schedule_.num_train_timesteps());
  return std::make_unique<DpmMultistepRun>(config_, schedule_, options);
}

}  // namespace daguerre::samplers

#include "daguerre/samplers/deis.hpp"

#include <cmath>
#include <utility>

#include "daguerre/core/eigen.hpp"
#include "samplers/lambda_levels.hpp"
#include "samplers/multistep.hpp"
#include "samplers/numerics.hpp"
#include "samplers/read_config.hpp"
#include "samplers/runs.hpp"

namespace daguerre::samplers {
namespace {

constexpr const char* deis_name = "DEISMultistepScheduler";

/// The integral over rho in [from, to] of the polynomial in log rho that is 1 at log a and zero at log b.
float lagrange_integral(float from, float to, float a, float b) {
  const float log_a = numerics::numpy_log(a), log_b = numerics::numpy_log(b);
  const auto antiderivative = [&](float rho) {
    return rho * (-log_b + numerics::numpy_log(rho) - 1.0f) / (log_a - log_b);
  };
  return antiderivative(to) - antiderivative(from);
}

/// The same with a second zero at log c. The order of the operations is the reference's, whose rounding in
/// float32 shows in the sixth digit of the result.
float lagrange_integral(float from, float to, float a, float b, float c) {
  const float log_a = numerics::numpy_log(a), log_b = numerics::numpy_log(b), log_c = numerics::numpy_log(c);
  const auto antiderivative = [&](float rho) {
    const float u = numerics::numpy_log(rho);
    return rho * (log_b * (log_c - u + 1.0f) - log_c * u + log_c + u * u - 2.0f * u + 2.0f) /
           ((log_a - log_b) * (log_a - log_c));
  };
  return antiderivative(to) - antiderivative(from);
}

class DeisRun final : public LambdaRun {
 public:
  DeisRun(const DeisConfig& config, const NoiseSchedule& schedule, const RunOptions& options)
      : LambdaRun(deis_name, 3), config_(config) {
    const auto levels = lambda_levels(deis_name, schedule, config,
                                      spaced_timesteps({.spacing = config.timestep_spacing,
                                                        .num_train_timesteps = schedule.num_train_timesteps(),
                                                        .usable_timesteps = schedule.num_train_timesteps(),
                                                        .steps = options.steps,
                                                        .steps_offset = config.steps_offset,
                                                        .drop_smallest = true}),
                                      options);
    const bool repeated = config.sigma_spacing != SigmaSpacing::timesteps || config.flow.use;
    set_levels(levels, repeated ? levels.sigmas.back() : static_cast<double>(schedule.sigmas().front()),
               config.flow.use);
    begin_plan(options.first_call);
    for (Index i = options.first_call; i < calls(); ++i)
      plan(step_at(i, multistep_order(i, calls(), options.first_call, config.solver_order,
                                      config.lower_order_final, false)));
  }

 private:
  float rho(Index i) const { return level(i).sigma / level(i).alpha; }

  LinearStep step_at(Index i, int order) const {
    const NoiseLevel &t = level(i + 1), &s = level(i);
    LinearStep step{.order = order, .sample = t.alpha / s.alpha};
    const float from = rho(i), to = rho(i + 1);
    if (order == 1) {
      // DPM-Solver's and DDIM's step: alpha_t (rho_t - rho_s) by another name.
      step.prediction = -(t.sigma * (std::exp(t.lambda - s.lambda) - 1.0f));
      return step;
    }
    std::vector<float> weights;
    const float b = rho(i - 1);
    if (order == 2) {
      weights = {lagrange_integral(from, to, from, b), lagrange_integral(from, to, b, from)};
    } else {
      const float c = rho(i - 2);
      weights = {lagrange_integral(from, to, from, b, c), lagrange_integral(from, to, b, c, from),
                 lagrange_integral(from, to, c, from, b)};
    }
    double sum = 0.0;
    for (float& weight : weights) sum += weight *= t.alpha;
    step.prediction = static_cast<float>(sum);
    weights.front() = 0.0f;
    step.differences = std::move(weights);
    return step;
  }

  Tensor<float> advance(const Tensor<float>& model_output, Index i, const Tensor<float>& sample,
                        const NoiseSource&) override {
    const Mixture at = mixture(config_.prediction_type, i);
    Tensor<float> original =
        limit_original(predict_original(config_.prediction_type, model_output, sample, at), config_.limits);
    history_.push(predict_epsilon(PredictionType::sample, original, sample, at));
    pred_original_sample_ = std::move(original);
    return history_.apply(planned(i), sample);
  }

  DeisConfig config_;
};

}  // namespace

DeisConfig DeisConfig::from(const daguerre::Config& config) {
  DeisConfig result;
  read_lambda_sampler(config, {}, false, result);
  // The names of other multistep samplers' forms are taken for its only one, as diffusers does when it
  // changes the class.
  read_choice(config, "algorithm_type", true, {{"deis", true}, {"dpmsolver", true}, {"dpmsolver++", true}});
  read_choice(config, "solver_type", true,
              {{"logrho", true}, {"midpoint", true}, {"heun", true}, {"bh1", true}, {"bh2", true}});
  result.lower_order_final = config.get("lower_order_final", result.lower_order_final);
  read_timesteps(config, result.timestep_spacing, result.steps_offset);
  return result;
}

DeisSampler::DeisSampler(const DeisConfig& config)
    : config_(config), schedule_(config.schedule, TerminalAlpha::finite) {
  check_lambda_sampler(deis_name, config);
}

std::unique_ptr<SamplerRun> DeisSampler::start(const RunOptions& options) const {
  check_run(deis_name, options, schedule_.num_train_timesteps());
  return std::make_unique<DeisRun>(config_, schedule_, options);
}

}  // namespace daguerre::samplers

#include "samplers/dpm_solver_run.hpp"

#include <algorithm>
#include <cmath>

#include "daguerre/core/eigen.hpp"
#include "samplers/read_config.hpp"

namespace daguerre::samplers {
namespace {

bool predicts_original(DpmAlgorithm algorithm) {
  return algorithm == DpmAlgorithm::dpmsolver_pp || algorithm == DpmAlgorithm::sde_dpmsolver_pp;
}

}  // namespace

DpmSolverRun::DpmSolverRun(std::string name, const DpmSolverConfig& config)
    : LambdaRun(std::move(name), 3), config_(config) {
  learned_variance_ = config.learned_variance;
}

void DpmSolverRun::set_tables(const NoiseSchedule& schedule, const Levels& levels) {
  const double final_sigma =
      config_.final_sigma == FinalSigma::zero ? 0.0 : static_cast<double>(schedule.sigmas().front());
  set_levels(levels, final_sigma, config_.flow.use);
}

int DpmSolverRun::usable_timesteps(const NoiseSchedule& schedule) const {
  const auto clipped = static_cast<float>(config_.lambda_min_clipped);
  const auto alphas = schedule.alphas_cumprod();
  const auto below = std::count_if(alphas.begin(), alphas.end(), [clipped](float a) {
    return std::log(std::sqrt(a)) - std::log(std::sqrt(1.0f - a)) < clipped;
  });
  const int usable = schedule.num_train_timesteps() - static_cast<int>(below);
  if (usable < 1)
    throw ArgumentError(
        name(), "lambda_min_clipped = " + std::to_string(config_.lambda_min_clipped) + " leaves no timestep");
  return usable;
}

bool DpmSolverRun::stochastic() const {
  return config_.algorithm == DpmAlgorithm::sde_dpmsolver ||
         config_.algorithm == DpmAlgorithm::sde_dpmsolver_pp;
}

DpmCoefficients DpmSolverRun::coefficients(int order, const NoiseLevel& t, const NoiseLevel& s,
                                           DpmTerms terms) const {
  if (order == 3 && config_.algorithm == DpmAlgorithm::sde_dpmsolver)
    throw ArgumentError(
        name(),
        "algorithm_type sde-dpmsolver has no third-order step; set solver_order to 1 or 2, or "
        "take sde-dpmsolver++");
  const float h = t.lambda - s.lambda;
  DpmCoefficients step;
  // The integrals of 1, of (lambda - lambda_s) / h and of its square against the exponential weight. The
  // second is replaced by half the first in the midpoint form.
  float midpoint = 0, derivative = 0, second_derivative = 0;
  switch (config_.algorithm) {
    case DpmAlgorithm::dpmsolver_pp: {
      const float decay = std::exp(-h) - 1.0f;
      step.sample = t.sigma / s.sigma;
      step.d0 = -(t.alpha * decay);
      midpoint = 0.5f * step.d0;
      derivative = t.alpha * (decay / h + 1.0f);
      second_derivative = -(t.alpha * ((std::exp(-h) - 1.0f + h) / (h * h) - 0.5f));
      break;
    }
    case DpmAlgorithm::dpmsolver: {
      const float growth = std::exp(h) - 1.0f;
      step.sample = t.alpha / s.alpha;
      step.d0 = -(t.sigma * growth);
      midpoint = 0.5f * step.d0;
      derivative = -(t.sigma * (growth / h - 1.0f));
      second_derivative = -(t.sigma * ((std::exp(h) - 1.0f - h) / (h * h) - 0.5f));
      break;
    }
    case DpmAlgorithm::sde_dpmsolver_pp: {
      const float decay = 1.0f - std::exp(-2.0f * h);
      step.sample = t.sigma / s.sigma * std::exp(-h);
      step.d0 = t.alpha * decay;
      midpoint = 0.5f * step.d0;
      derivative = t.alpha * (decay / (-2.0f * h) + 1.0f);
      second_derivative = t.alpha * ((decay - 2.0f * h) / (4.0f * h * h) - 0.5f);
      step.noise = t.sigma * std::sqrt(decay);
      break;
    }
    case DpmAlgorithm::sde_dpmsolver: {
      const float growth = std::exp(h) - 1.0f;
      step.sample = t.alpha / s.alpha;
      step.d0 = -2.0f * (t.sigma * growth);
      midpoint = -(t.sigma * growth);
      derivative = -2.0f * (t.sigma * (growth / h - 1.0f));
      step.noise = t.sigma * std::sqrt(std::exp(2.0f * h) - 1.0f);
      break;
    }
  }
  if (terms == DpmTerms::midpoint) step.d1 = midpoint;
  if (terms == DpmTerms::derivative || terms == DpmTerms::second_derivative) step.d1 = derivative;
  if (terms == DpmTerms::second_derivative) step.d2 = second_derivative;
  return step;
}

void DpmSolverRun::remember(const Tensor<float>& model_output, Index i, const Tensor<float>& sample) {
  const Tensor<float> output =
      model_output.shape() == sample.shape() ? model_output : split_channels(model_output).first;
  Tensor<float> limited, integrated;
  if (predicts_original(config_.algorithm)) {
    limited = limit_original(original(output, i, sample), config_.limits);
    integrated = limited;
  } else {
    const Mixture at{.alpha = level(i).alpha, .sigma = level(i).sigma};
    integrated = predict_epsilon(config_.prediction_type, output, sample, at);
    limited =
        limit_original(predict_original(PredictionType::epsilon, integrated, sample, at), config_.limits);
    if (config_.limits.thresholding)
      integrated = predict_epsilon(PredictionType::sample, limited, sample, at);
  }
  history_.push(std::move(integrated));
  pred_original_sample_ = std::move(limited);
}

Tensor<float> DpmSolverRun::original(const Tensor<float>& model_output, Index i,
                                     const Tensor<float>& sample) const {
  return predict_original(config_.prediction_type, model_output, sample, mixture(config_.prediction_type, i));
}

Tensor<float> DpmSolverRun::apply(const LinearStep& step, const Tensor<float>& x,
                                  const NoiseSource& noise) const {
  Tensor<float> result = history_.apply(step, x);
  if (stochastic()) array(result) += step.noise * array(draw(noise, x.shape()));
  return result;
}

void DpmMultistepRun::make_plan(Index first_call) {
  begin_plan(first_call);
  const bool first_order_last = config_.euler_at_final || config_.final_sigma == FinalSigma::zero;
  for (Index i = first_call; i < calls(); ++i)
    plan(step_at(i, multistep_order(i, calls(), first_call, config_.solver_order, config_.lower_order_final,
                                    first_order_last)));
}

LinearStep DpmMultistepRun::step_at(Index i, int order) const {
  const NoiseLevel t = level(i + 1), s0 = level(i);
  if (order == 1) return coefficients(1, t, s0, DpmTerms::first).linear(1);
  const NoiseLevel s1 = level(i - 1);
  const float h = t.lambda - s0.lambda, r0 = (s0.lambda - s1.lambda) / h;
  const auto c = coefficients(order, t, s0,
                              order == 3                                       ? DpmTerms::second_derivative
                              : config_.solver_type == DpmSolverType::midpoint ? DpmTerms::midpoint
                                                                               : DpmTerms::derivative);
  LinearStep step = c.linear(order);
  const float inverse_r0 = 1.0f / r0;
  if (order == 2) {
    step.differences = {0.0f, -c.d1 * inverse_r0};  // D1 = (m0 - m1) / r0
    return step;
  }
  // With the slopes S0 = (m0 - m1) / r0 and S1 = (m1 - m2) / r1: D2 = (S0 - S1) / (r0 + r1), D1 = S0 + r0 D2.
  const float r1 = (s1.lambda - level(i - 2).lambda) / h, inverse_r1 = 1.0f / r1;
  const float bend = (c.d1 * r0 + c.d2) / (r0 + r1);
  const float slope0 = c.d1 + bend, slope1 = -bend;
  step.differences = {0.0f, slope1 * inverse_r1 - slope0 * inverse_r0, -slope1 * inverse_r1};
  return step;
}

Tensor<float> DpmMultistepRun::advance(const Tensor<float>& model_output, Index i,
                                       const Tensor<float>& sample, const NoiseSource& noise) {
  remember(model_output, i, sample);
  return apply(planned(i), sample, noise);
}

void read_dpm_method(const daguerre::Config& config, DpmSolverConfig& result) {
  // The names of other multistep samplers' forms are translated as diffusers does when it changes the class.
  result.algorithm = read_choice(config, "algorithm_type", result.algorithm,
                                 {{"dpmsolver++", DpmAlgorithm::dpmsolver_pp},
                                  {"dpmsolver", DpmAlgorithm::dpmsolver},
                                  {"sde-dpmsolver++", DpmAlgorithm::sde_dpmsolver_pp},
                                  {"sde-dpmsolver", DpmAlgorithm::sde_dpmsolver},
                                  {"deis", DpmAlgorithm::dpmsolver_pp}});
  result.solver_type = read_choice(config, "solver_type", result.solver_type,
                                   {{"midpoint", DpmSolverType::midpoint},
                                    {"heun", DpmSolverType::heun},
                                    {"logrho", DpmSolverType::midpoint},
                                    {"bh1", DpmSolverType::midpoint},
                                    {"bh2", DpmSolverType::midpoint}});
  result.final_sigma = read_final_sigma(config);
}

void read_dpm_solver(const daguerre::Config& config, ScheduleKeys keys, bool lu_possible,
                     DpmSolverConfig& result) {
  read_lambda_sampler(config, keys, lu_possible, result);
  read_dpm_method(config, result);
  result.lambda_min_clipped = config.get("lambda_min_clipped", result.lambda_min_clipped);
  result.learned_variance = read_choice(config, "variance_type", false,
                                        {{"learned", true},
                                         {"learned_range", true},
                                         {"fixed_small", false},
                                         {"fixed_small_log", false},
                                         {"fixed_large", false},
                                         {"fixed_large_log", false}},
                                        std::optional(false));
}

void check_dpm_solver(std::string_view who, const DpmSolverConfig& config, bool lu_possible) {
  check_lambda_sampler(who, config, lu_possible);
  if (!predicts_original(config.algorithm) && config.prediction_type == PredictionType::flow_prediction)
    throw ConfigError(who,
                      "algorithm_type dpmsolver and sde-dpmsolver do not take prediction_type "
                      "flow_prediction; use dpmsolver++");
  if (!predicts_original(config.algorithm) && config.final_sigma == FinalSigma::zero)
    throw ConfigError(
        who,
        "final_sigmas_type zero is not possible with algorithm_type dpmsolver and sde-dpmsolver; "
        "use sigma_min");
}

}  // namespace daguerre::samplers

#include "samplers/dpm_solver_run.hpp"

#include <algorithm>
#include <cmath>

#include "daguerre/tensor/eigen.hpp"
#include "samplers/read_config.hpp"

namespace daguerre::samplers {
namespace {

bool predicts_original(DpmAlgorithm algorithm) {
  return algorithm == DpmAlgorithm::dpmsolver_pp || algorithm == DpmAlgorithm::sde_dpmsolver_pp;
}

}  // namespace

bool DpmStep::finite() const {
  const float values[] = {sample, d0, d1, d2, noise, r0, r1, inverse_r0, inverse_r1, inverse_r};
  return std::all_of(std::begin(values), std::end(values), [](float value) { return std::isfinite(value); });
}

DpmSolverRun::DpmSolverRun(std::string name, const DpmSolverConfig& config, const NoiseSchedule& schedule)
    : SamplerRun(std::move(name)), schedule_(schedule), config_(config) {
  learned_variance_ = config.learned_variance;
}

int DpmSolverRun::usable_timesteps() const {
  const auto clipped = static_cast<float>(config_.lambda_min_clipped);
  const auto alphas = schedule_.alphas_cumprod();
  const auto below = std::count_if(alphas.begin(), alphas.end(), [clipped](float a) {
    return std::log(std::sqrt(a)) - std::log(std::sqrt(1.0f - a)) < clipped;
  });
  const int usable = schedule_.num_train_timesteps() - static_cast<int>(below);
  if (usable < 1)
    throw ArgumentError(
        name(), "lambda_min_clipped = " + std::to_string(config_.lambda_min_clipped) + " leaves no timestep");
  return usable;
}

void DpmSolverRun::set_levels(std::vector<double> timesteps, int steps) {
  const auto table = schedule_.sigmas();
  std::vector<double> levels;
  if (config_.sigma_spacing == SigmaSpacing::timesteps) {
    levels = interpolate(timesteps, table);
  } else {
    const auto log_sigmas = log_sigma_table(table);
    levels = config_.sigma_spacing == SigmaSpacing::lu
                 ? lu_sigmas(log_sigmas.front(), log_sigmas.back(), steps)
                 : spaced_sigmas(config_.sigma_spacing, config_.sigma_min.value_or(table.front()),
                                 config_.sigma_max.value_or(table.back()), steps);
    timesteps = sigmas_to_timesteps(levels, log_sigmas, config_.sigma_spacing);
    for (double& t : timesteps) t = std::nearbyint(t);
  }
  sigmas_ = with_final_sigma(levels, config_.final_sigma, table.front());
  timesteps_.assign(timesteps.begin(), timesteps.end());
}

bool DpmSolverRun::stochastic() const {
  return config_.algorithm == DpmAlgorithm::sde_dpmsolver ||
         config_.algorithm == DpmAlgorithm::sde_dpmsolver_pp;
}

DpmStep DpmSolverRun::coefficients(int order, const NoiseLevel& t, const NoiseLevel& s,
                                   DpmTerms terms) const {
  const float h = t.lambda - s.lambda;
  DpmStep step{.order = order};
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

void DpmSolverRun::check(const DpmStep& step, Index i) const {
  if (step.order == 3 && stochastic())
    throw ArgumentError(name(), "the SDE forms have no third-order step; set solver_order to 1 or 2");
  if (!step.finite())
    throw ArgumentError(name(),
                        "a step of order " + std::to_string(step.order) + " at call " + std::to_string(i) +
                            " divides by zero, because neighbouring noise levels are equal or the last "
                            "one is zero; take another number of steps, a lower solver_order or another "
                            "final_sigmas_type");
}

void DpmSolverRun::remember(const Tensor<float>& model_output, Index i, const Tensor<float>& sample) {
  const NoiseLevel here = level(i);
  const Mixture at{.alpha = here.alpha, .sigma = here.sigma};
  const Tensor<float> output =
      model_output.shape() == sample.shape() ? model_output : split_channels(model_output).first;
  Tensor<float> original, integrated;
  if (predicts_original(config_.algorithm)) {
    original = limit_original(predict_original(config_.prediction_type, output, sample, at), config_.limits);
    integrated = original;
  } else {
    integrated = predict_epsilon(config_.prediction_type, output, sample, at);
    original =
        limit_original(predict_original(PredictionType::epsilon, integrated, sample, at), config_.limits);
    if (config_.limits.thresholding)
      integrated = predict_epsilon(PredictionType::sample, original, sample, at);
  }
  if (history_.size() == 3) history_.erase(history_.begin());
  history_.push_back(std::move(integrated));
  pred_original_sample_ = std::move(original);
}

Tensor<float> DpmSolverRun::first_order_part(const DpmStep& step, const Tensor<float>& x,
                                             const Tensor<float>& d0, const NoiseSource& noise) const {
  Tensor<float> result(x.shape());
  array(result) = step.sample * array(x) + step.d0 * array(d0);
  if (stochastic()) array(result) += step.noise * array(draw(noise, x.shape()));
  return result;
}

Tensor<float> DpmSolverRun::noised(const Tensor<float>& original, const Tensor<float>& noise, Index i) const {
  const NoiseLevel at = level(i);
  Tensor<float> result(original.shape());
  array(result) = at.alpha * array(original) + at.sigma * array(noise);
  return result;
}

void read_dpm_solver(const weights::Config& config, bool lu_possible, DpmSolverConfig& result) {
  result.prediction_type = read_prediction_type(config);
  result.limits = read_limits(config, std::nullopt);
  result.solver_order = config.get("solver_order", result.solver_order);
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
  result.sigma_spacing = read_sigma_spacing(config, lu_possible);
  result.sigma_min = config.optional_double("sigma_min");
  result.sigma_max = config.optional_double("sigma_max");
  result.final_sigma = read_final_sigma(config);
  result.lambda_min_clipped = config.get("lambda_min_clipped", result.lambda_min_clipped);
  result.learned_variance = read_choice(config, "variance_type", false,
                                        {{"learned", true},
                                         {"learned_range", true},
                                         {"fixed_small", false},
                                         {"fixed_small_log", false},
                                         {"fixed_large", false},
                                         {"fixed_large_log", false}});
}

void check_dpm_solver(std::string_view who, const DpmSolverConfig& config) {
  if (config.solver_order < 1 || config.solver_order > 3)
    throw ConfigError(who, "solver_order is " + std::to_string(config.solver_order) + ", expected 1, 2 or 3");
  if (config.sigma_spacing == SigmaSpacing::exponential || config.sigma_spacing == SigmaSpacing::beta)
    throw ConfigError(who, "use_exponential_sigmas and use_beta_sigmas are not possible with this class");
  if (!predicts_original(config.algorithm) && config.final_sigma == FinalSigma::zero)
    throw ConfigError(
        who,
        "final_sigmas_type zero is not possible with algorithm_type dpmsolver and sde-dpmsolver; "
        "use sigma_min");
  for (const auto& end : {config.sigma_min, config.sigma_max})
    if (end && !(*end > 0.0 && std::isfinite(*end)))
      throw ConfigError(who,
                        "sigma_min or sigma_max is " + std::to_string(*end) + ", expected a positive number");
}

}  // namespace daguerre::samplers

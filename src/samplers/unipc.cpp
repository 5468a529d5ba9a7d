#include "daguerre/samplers/unipc.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <Eigen/LU>

#include "daguerre/core/eigen.hpp"
#include "samplers/flow_levels.hpp"
#include "samplers/lambda_levels.hpp"
#include "samplers/multistep.hpp"
#include "samplers/numerics.hpp"
#include "samplers/read_config.hpp"
#include "samplers/runs.hpp"
#include "samplers/scheduler_keys.hpp"

namespace daguerre::samplers {
namespace {

constexpr const char* unipc_name = "UniPCMultistepScheduler";

/// Flow levels of one step each, shifted: those given, or evenly spaced ones from 1.
std::vector<double> shifted_levels(const UniPcConfig& config, const RunOptions& options) {
  std::vector<double> levels = options.sigmas;
  if (levels.empty()) {
    const int count = config.schedule.num_train_timesteps;
    levels = numerics::numpy_linspace(1.0, 1.0 / count, options.steps + 1);
    levels.pop_back();
  }
  if (config.flow.dynamic && !options.mu)
    throw ArgumentError(unipc_name, "use_dynamic_shifting is on and mu was not given");
  for (double& level : levels)
    level = config.flow.dynamic
                ? time_shifted_sigma(level, time_shift_factor(config.flow.time_shift, *options.mu))
                : shifted_sigma(level, config.flow.shift);
  if (config.shift_terminal && *config.shift_terminal != 0.0)
    stretch_to_terminal(unipc_name, levels, *config.shift_terminal);
  // At 1 itself there is no log-SNR.
  constexpr double epsilon = 1e-6;
  if (std::abs(levels.front() - 1.0) < epsilon) levels.front() -= epsilon;
  return levels;
}

/// Karras' levels are ratios of noise to sample; straight paths have sigma / (1 + sigma) there. Of given
/// levels the reference takes the number and, where the configuration has no ends, the first one as the
/// smallest and the last one as the largest.
std::vector<double> straight_karras_levels(const UniPcConfig& config, const NoiseSchedule& schedule,
                                           const RunOptions& options) {
  const auto& given = options.sigmas;
  const auto table = schedule.sigmas();
  const double low = given.empty() ? table.front() : given.front();
  const double high = given.empty() ? table.back() : given.back();
  auto levels =
      spaced_sigmas(SigmaSpacing::karras, config.sigma_min.value_or(low), config.sigma_max.value_or(high),
                    given.empty() ? options.steps : static_cast<int>(given.size()));
  for (double& level : levels) level /= level + 1.0;
  return levels;
}

Levels levels_of(const UniPcConfig& config, const NoiseSchedule& schedule, const RunOptions& options) {
  const bool plain = config.sigma_spacing == SigmaSpacing::timesteps;
  const bool older = config.older_flow_levels && options.sigmas.empty();
  if (!options.sigmas.empty() &&
      !(config.flow.use && (plain || config.sigma_spacing == SigmaSpacing::karras)))
    throw ArgumentError(unipc_name, "custom sigmas need use_flow_sigmas, without exponential or beta levels");
  if (config.flow.use && !older && (plain || config.sigma_spacing == SigmaSpacing::karras)) {
    Levels levels;
    levels.sigmas =
        plain ? shifted_levels(config, options) : straight_karras_levels(config, schedule, options);
    levels.timesteps = flow_timesteps(levels.sigmas, schedule.num_train_timesteps());
    check_flow_levels(unipc_name, levels.sigmas);
    return levels;
  }
  return lambda_levels(unipc_name, schedule, config,
                       spaced_timesteps({.spacing = config.timestep_spacing,
                                         .num_train_timesteps = schedule.num_train_timesteps(),
                                         .usable_timesteps = schedule.num_train_timesteps(),
                                         .steps = options.steps,
                                         .steps_offset = config.steps_offset,
                                         .drop_smallest = true}),
                       options);
}

class UniPcRun final : public LambdaRun {
 public:
  UniPcRun(const UniPcConfig& config, const NoiseSchedule& schedule, const RunOptions& options)
      : LambdaRun(unipc_name, static_cast<std::size_t>(config.solver_order) + 1), config_(config) {
    const Levels levels = levels_of(config, schedule, options);
    const bool repeated = config.sigma_spacing != SigmaSpacing::timesteps || config.flow.use;
    const double smallest = repeated ? levels.sigmas.back() : static_cast<double>(schedule.sigmas().front());
    set_levels(levels, config.final_sigma == FinalSigma::zero ? 0.0 : smallest, config.flow.use);
    begin_plan(options.first_call);
    for (Index i = first_call(); i < calls(); ++i) plan(step(i, order_of(i), false));
    for (Index i = first_call() + 1; i < calls(); ++i)
      if (corrects(i) && !correction(i).finite())
        throw ArgumentError(unipc_name, "the correction at call " + std::to_string(i) +
                                            " divides by zero, because neighbouring noise levels are equal; "
                                            "take another number of steps");
  }

 private:
  int order_of(Index i) const {
    const Index left = config_.lower_order_final ? calls() - i : calls();
    return static_cast<int>(std::min({Index{config_.solver_order}, left, i - first_call() + 1}));
  }

  bool corrects(Index i) const {
    const auto& without = config_.disable_corrector;
    return i > first_call() && std::find(without.begin(), without.end(), i - 1) == without.end();
  }

  /// The step that comes to level i again, now with the prediction there.
  LinearStep correction(Index i) const { return step(i - 1, order_of(i - 1), true); }

  /// From level i to level i + 1 over `order` predictions, in a correction also over the one at level i + 1.
  LinearStep step(Index i, int order, bool corrects) const {
    const NoiseLevel &t = level(i + 1), &s = level(i);
    const float h = t.lambda - s.lambda, hh = config_.predict_x0 ? -h : h;
    const float growth = std::expm1(hh);
    const float scale = config_.predict_x0 ? t.alpha : t.sigma;
    const float b = config_.solver_type == UniPcSolver::bh1 ? hh : growth;
    LinearStep step{.order = order,
                    .sample = config_.predict_x0 ? t.sigma / s.sigma : t.alpha / s.alpha,
                    .prediction = -(scale * growth)};
    std::vector<float> ratios;  // of the other predictions, the newest last
    for (int k = 1; k < order; ++k) ratios.push_back((level(i - k).lambda - s.lambda) / h);
    if (corrects) ratios.push_back(1.0f);

    std::vector<float> weights;
    if (ratios.size() == 1)
      weights = {0.5f};  // the paper's choice where the system has one row: as accurate, whatever B(h) is
    else if (!ratios.empty())
      weights = solve(ratios, hh, b);
    // History 0 is the prediction at the step's beginning, or in a correction the one at its end.
    step.base = corrects ? 1 : 0;
    step.differences.assign(step.base + static_cast<std::size_t>(order), 0.0f);
    for (std::size_t k = 0; k < ratios.size(); ++k) {
      const bool at_end = corrects && k + 1 == ratios.size();
      step.differences[at_end ? 0 : step.base + 1 + k] = -(scale * b * weights[k] / ratios[k]);
    }
    return step;
  }

  /// The weights a_k with sum_k a_k r_k^{j-1} = h phi_{j+1}(h) j! / B(h).
  static std::vector<float> solve(const std::vector<float>& ratios, float hh, float b) {
    const auto n = static_cast<Eigen::Index>(ratios.size());
    Eigen::MatrixXd powers(n, n);
    Eigen::VectorXd moments(n);
    double phi = std::expm1(static_cast<double>(hh)) / hh - 1.0, factorial = 1.0;
    for (Eigen::Index j = 0; j < n; ++j) {
      for (Eigen::Index k = 0; k < n; ++k)
        powers(j, k) =
            std::pow(static_cast<double>(ratios[static_cast<std::size_t>(k)]), static_cast<double>(j));
      moments(j) = phi * factorial / b;
      factorial *= static_cast<double>(j + 2);
      phi = phi / hh - 1.0 / factorial;
    }
    const Eigen::VectorXd solution = powers.partialPivLu().solve(moments);
    std::vector<float> weights;
    for (Eigen::Index k = 0; k < n; ++k) weights.push_back(static_cast<float>(solution(k)));
    return weights;
  }

  Tensor<float> advance(const Tensor<float>& model_output, Index i, const Tensor<float>& sample,
                        const NoiseSource&) override {
    const Mixture at = mixture(config_.prediction_type, i);
    Tensor<float> original = predict_original(config_.prediction_type, model_output, sample, at);
    if (config_.predict_x0) original = limit_original(std::move(original), config_.limits);
    history_.push(config_.predict_x0 ? original
                                     : predict_epsilon(config_.prediction_type, model_output, sample, at));
    pred_original_sample_ = std::move(original);
    corrected_ = corrects(i) ? history_.apply(correction(i), corrected_) : sample.clone();
    return history_.apply(planned(i), corrected_);
  }

  UniPcConfig config_;
  Tensor<float> corrected_;  ///< the sample at the newest level
};

}  // namespace

UniPcConfig UniPcConfig::from(const daguerre::Config& config) {
  UniPcConfig result;
  read_lambda_sampler(config, {.zero_snr = true}, false, result);
  result.predict_x0 = config.get("predict_x0", result.predict_x0);
  // The names of other multistep samplers' forms are translated as diffusers does when it changes the class.
  result.solver_type = read_choice(config, "solver_type", result.solver_type,
                                   {{"bh1", UniPcSolver::bh1},
                                    {"bh2", UniPcSolver::bh2},
                                    {"midpoint", UniPcSolver::bh2},
                                    {"heun", UniPcSolver::bh2},
                                    {"logrho", UniPcSolver::bh2}});
  result.lower_order_final = config.get("lower_order_final", result.lower_order_final);
  if (config.is_null("disable_corrector")) refuse_value(config, "disable_corrector", "null", "a list");
  if (config.has("disable_corrector")) result.disable_corrector = config.require_ints("disable_corrector");
  config.expect("solver_p", {"null"});
  result.final_sigma = read_final_sigma(config);
  read_timesteps(config, result.timestep_spacing, result.steps_offset);
  result.shift_terminal = config.optional_double("shift_terminal");
  result.older_flow_levels = written_before(config, {0, 37});
  return result;
}

UniPcSampler::UniPcSampler(const UniPcConfig& config)
    : config_(config), schedule_(config.schedule, TerminalAlpha::finite) {
  check_lambda_sampler(unipc_name, config);
  if (!config.predict_x0 && config.prediction_type == PredictionType::flow_prediction)
    throw ConfigError(unipc_name, "predict_x0 = false does not take prediction_type flow_prediction");
  if (config.shift_terminal) check_shift_terminal(unipc_name, *config.shift_terminal);
  if (config.shift_terminal && !config.flow.use)
    throw ConfigError(unipc_name, "shift_terminal needs use_flow_sigmas");
}

std::unique_ptr<SamplerRun> UniPcSampler::start(const RunOptions& options) const {
  check_run(unipc_name, options, schedule_.num_train_timesteps(), {.sigmas = true});
  return std::make_unique<UniPcRun>(config_, schedule_, options);
}

}  // namespace daguerre::samplers

#include "daguerre/samplers/ddim_cogvideox.hpp"

#include <cmath>
#include <utility>

#include "samplers/numerics.hpp"
#include "samplers/read_config.hpp"
#include "samplers/runs.hpp"

namespace daguerre::samplers {
namespace {

constexpr const char* cogvideox_name = "CogVideoXDDIMScheduler";

/// Divides the signal-to-noise ratio by `scale` and, with `zero_snr`, applies arXiv:2305.08891, algorithm 1,
/// to the table itself.
template <class Real>
std::vector<double> shifted_alphas(std::vector<Real> alphas, double scale, bool zero_snr) {
  for (Real& a : alphas) a = a / (static_cast<Real>(scale) + static_cast<Real>(1.0 - scale) * a);
  if (zero_snr) {
    const Real first = std::sqrt(alphas.front()), last = std::sqrt(alphas.back());
    for (Real& a : alphas) {
      const Real root = (std::sqrt(a) - last) * (first / (first - last));
      a = root * root;
    }
  }
  return {alphas.begin(), alphas.end()};
}

std::vector<double> shifted_alphas(const CogVideoXDdimConfig& config) {
  const auto& schedule = config.schedule;
  const auto betas = make_betas(schedule);  // also checks the values
  if (!schedule.trained_betas.empty() || schedule.beta_schedule != BetaSchedule::scaled_linear)
    return shifted_alphas(cumulative_alphas(betas), config.snr_shift_scale, schedule.rescale_betas_zero_snr);
  // The reference computes this schedule alone in double.
  std::vector<double> alphas;
  double product = 1.0;
  for (const double root : numerics::numpy_linspace(
           std::sqrt(schedule.beta_start), std::sqrt(schedule.beta_end), schedule.num_train_timesteps))
    alphas.push_back(product *= 1.0 - root * root);
  return shifted_alphas(std::move(alphas), config.snr_shift_scale, schedule.rescale_betas_zero_snr);
}

class CogVideoXDdimRun final : public SamplerRun {
 public:
  CogVideoXDdimRun(const CogVideoXDdimConfig& config, std::shared_ptr<const std::vector<double>> alphas,
                   const RunOptions& options)
      : SamplerRun(cogvideox_name),
        config_(config),
        alphas_(std::move(alphas)),
        stride_(config.schedule.num_train_timesteps / options.steps) {
    for (const double t : spaced_timesteps({.spacing = config.timestep_spacing,
                          .num_train_timesteps = config.schedule.num_train_timesteps,
                          .usable_timesteps = config.schedule.num_train_timesteps,
                          .steps = options.steps,
                          .steps_offset = config.steps_offset}))
      if (t >= 0.0) timesteps_.push_back(static_cast<float>(t));
    begin(options.first_call);
    for (Index i = options.first_call; i < calls(); ++i)
      if (alpha(timestep(i)) == 0.0 && config.prediction_type == PredictionType::epsilon)
        throw ArgumentError(cogvideox_name,
                            "timestep " + std::to_string(timestep(i)) +
                                " is pure noise (rescale_betas_zero_snr), from which an epsilon "
                                "prediction cannot give a sample; v_prediction can");
  }

 private:
  int timestep(Index i) const { return static_cast<int>(timesteps_[static_cast<std::size_t>(i)]); }

  double alpha(int t) const {
    if (t < 0) return config_.set_alpha_to_one ? 1.0 : alphas_->front();
    if (static_cast<std::size_t>(t) >= alphas_->size())
      throw ArgumentError(cogvideox_name,
                          "timestep " + std::to_string(t) + " is beyond the training timesteps");
    return (*alphas_)[static_cast<std::size_t>(t)];
  }
  Mixture mixture(int t) const {
    return {.alpha = static_cast<float>(std::sqrt(alpha(t))),
            .sigma = static_cast<float>(std::sqrt(1.0 - alpha(t)))};
  }

  Tensor<float> advance(const Tensor<float>& model_output, Index i, const Tensor<float>& sample,
                        const NoiseSource&) override {
    const int t = timestep(i);
    const double a = alpha(t), a_prev = alpha(t - stride_);
    const double sample_factor = std::sqrt((1.0 - a_prev) / (1.0 - a));
    const double original_factor = std::sqrt(a_prev) - std::sqrt(a) * sample_factor;
    pred_original_sample_ = predict_original(config_.prediction_type, model_output, sample, mixture(t));
    return mix(sample, pred_original_sample_,
               {.alpha = static_cast<float>(sample_factor), .sigma = static_cast<float>(original_factor)});
  }

  Tensor<float> noised(const Tensor<float>& original, const Tensor<float>& noise, Index i) const override {
    return mix(original, noise, mixture(timestep(i)));
  }

  CogVideoXDdimConfig config_;
  std::shared_ptr<const std::vector<double>> alphas_;
  int stride_;
};

}  // namespace

CogVideoXDdimConfig::CogVideoXDdimConfig() {
  schedule.beta_start = 0.00085;
  schedule.beta_end = 0.012;
  schedule.beta_schedule = BetaSchedule::scaled_linear;
}

CogVideoXDdimConfig CogVideoXDdimConfig::from(const daguerre::Config& config) {
  CogVideoXDdimConfig result;
  result.schedule = read_noise_schedule(config, {.zero_snr = true}, result.schedule);
  result.prediction_type = read_prediction_type(config);
  read_timesteps(config, result.timestep_spacing, result.steps_offset);
  result.set_alpha_to_one = config.get("set_alpha_to_one", result.set_alpha_to_one);
  result.snr_shift_scale = config.get("snr_shift_scale", result.snr_shift_scale);
  return result;
}

CogVideoXDdimSampler::CogVideoXDdimSampler(const CogVideoXDdimConfig& config) : config_(config) {
  if (!(config.snr_shift_scale > 0.0 && std::isfinite(config.snr_shift_scale)))
    throw ConfigError(cogvideox_name, "snr_shift_scale is " + std::to_string(config.snr_shift_scale) +
                                          ", expected a positive number");
  auto alphas = shifted_alphas(config);
  rounded_ = std::make_shared<const std::vector<float>>(alphas.begin(), alphas.end());
  alphas_cumprod_ = std::make_shared<const std::vector<double>>(std::move(alphas));
}

std::unique_ptr<SamplerRun> CogVideoXDdimSampler::start(const RunOptions& options) const {
  check_run(cogvideox_name, options, config_.schedule.num_train_timesteps);
  return std::make_unique<CogVideoXDdimRun>(config_, alphas_cumprod_, options);
}

}  // namespace daguerre::samplers

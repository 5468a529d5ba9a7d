#include "daguerre/samplers/ddpm.hpp"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "daguerre/core/eigen.hpp"
#include "samplers/read_config.hpp"
#include "samplers/runs.hpp"
#include "samplers/scheduler_keys.hpp"

namespace daguerre::samplers {
namespace {

class DdpmRun final : public DiscreteRun {
 public:
  DdpmRun(const DdpmConfig& config, const NoiseSchedule& schedule, const RunOptions& options)
      : DiscreteRun("DDPMScheduler", schedule),
        config_(config),
        stride_(config.even_strides && options.timesteps.empty()
                    ? schedule.num_train_timesteps() / options.steps
                    : 0) {
    learned_variance_ =
        config.variance_type == VarianceType::learned || config.variance_type == VarianceType::learned_range;
    prepare(options.timesteps.empty()
                ? evenly_spaced(config.timestep_spacing, options.steps, config.steps_offset)
                : options.timesteps,
            options.first_call, config.prediction_type, config.limits);
    for (Index i = options.first_call; i < calls(); ++i)
      if (config.variance_type == VarianceType::fixed_large_log && timestep(i) > 0)
        throw ArgumentError(name(), "variance_type fixed_large_log has no real standard deviation");
  }

 private:
  int previous_timestep(Index i) const {
    if (stride_ > 0) return timestep(i) - stride_;
    return i + 1 < calls() ? timestep(i + 1) : -1;
  }

  Tensor<float> advance(const Tensor<float>& model_output, Index i, const Tensor<float>& sample,
                        const NoiseSource& noise) override {
    const int t = timestep(i);
    Tensor<float> mean_output = model_output, variance_output;
    if (!(model_output.shape() == sample.shape()))
      std::tie(mean_output, variance_output) = split_channels(model_output);
    else if (learned_variance_ && t > 0)
      throw ArgumentError(name(),
                          "step: the variance is learned, so the model output needs twice the channels of " +
                              to_string(sample.shape()));

    const float alpha_prod_t = alpha_prod(t), alpha_prod_prev = alpha_prod(previous_timestep(i));
    const float beta_prod = 1.0f - alpha_prod_t, beta_prod_prev = 1.0f - alpha_prod_prev;
    const float alpha = alpha_prod_t / alpha_prod_prev, beta = 1.0f - alpha;

    Tensor<float> original =
        limit_original(predict_original(config_.prediction_type, mean_output, sample,
                                        {.alpha = std::sqrt(alpha_prod_t), .sigma = std::sqrt(beta_prod)}),
                       config_.limits);

    Tensor<float> result(sample.shape());
    array(result) = std::sqrt(alpha_prod_prev) * beta / beta_prod * array(original) +
                    std::sqrt(alpha) * beta_prod_prev / beta_prod * array(sample);
    if (t > 0) {
      const Tensor<float> drawn = draw(noise, sample.shape());
      // Clamped because its logarithm is taken.
      const float small = std::max(beta_prod_prev / beta_prod * beta, 1e-20f);
      switch (config_.variance_type) {
        case VarianceType::fixed_small:
          array(result) += std::sqrt(small) * array(drawn);
          break;
        case VarianceType::fixed_small_log:
          array(result) += std::exp(0.5f * std::log(small)) * array(drawn);
          break;
        case VarianceType::fixed_large:
          array(result) += std::sqrt(beta) * array(drawn);
          break;
        case VarianceType::fixed_large_log:
          break;  // refused when the run was made
        case VarianceType::learned:
          array(result) += array(variance_output).sqrt() * array(drawn);
          break;
        case VarianceType::learned_range: {
          const float min_log = std::log(small), max_log = std::log(beta);
          const auto fraction = (array(variance_output) + 1.0f) / 2.0f;
          array(result) += (0.5f * (fraction * max_log + (1.0f - fraction) * min_log)).exp() * array(drawn);
          break;
        }
      }
    }
    pred_original_sample_ = std::move(original);
    return result;
  }

  DdpmConfig config_;
  int stride_;  ///< 0: from one of the timesteps to the next
};

}  // namespace

DdpmConfig DdpmConfig::from(const daguerre::Config& config) {
  DdpmConfig result;
  result.schedule = read_noise_schedule(config, {.sigmoid = true, .laplace = true, .zero_snr = true});
  result.prediction_type = read_prediction_type(config);
  result.limits = read_limits(config, true);
  result.variance_type = read_choice(config, "variance_type", result.variance_type,
                                     {{"fixed_small", VarianceType::fixed_small},
                                      {"fixed_small_log", VarianceType::fixed_small_log},
                                      {"fixed_large", VarianceType::fixed_large},
                                      {"fixed_large_log", VarianceType::fixed_large_log},
                                      {"learned", VarianceType::learned},
                                      {"learned_range", VarianceType::learned_range}},
                                     std::optional(VarianceType::fixed_small));
  read_timesteps(config, result.timestep_spacing, result.steps_offset);
  result.even_strides = written_before(config, {0, 32});
  return result;
}

DdpmSampler::DdpmSampler(const DdpmConfig& config)
    : config_(config), schedule_(config.schedule, TerminalAlpha::exact) {}

std::unique_ptr<SamplerRun> DdpmSampler::start(const RunOptions& options) const {
  check_run("DDPMScheduler", options, schedule_.num_train_timesteps(), {.timesteps = true});
  return std::make_unique<DdpmRun>(config_, schedule_, options);
}

}  // namespace daguerre::samplers

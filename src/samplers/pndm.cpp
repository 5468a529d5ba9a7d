#include "daguerre/samplers/pndm.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include "daguerre/core/eigen.hpp"
#include "samplers/multistep.hpp"
#include "samplers/read_config.hpp"
#include "samplers/runs.hpp"

namespace daguerre::samplers {
namespace {

class PndmRun final : public DiscreteRun {
 public:
  PndmRun(const PndmConfig& config, const NoiseSchedule& schedule, const RunOptions& options)
      : DiscreteRun("PNDMScheduler", schedule),
        config_(config),
        stride_(schedule.num_train_timesteps() / options.steps),
        first_call_(options.first_call) {
    const auto spaced = evenly_spaced(config.timestep_spacing, options.steps, config.steps_offset);
    std::vector<double> timesteps;
    if (config.skip_prk_steps) {
      timesteps = spaced;
      if (spaced.size() > 1) timesteps.insert(timesteps.begin() + 1, spaced[1]);
    } else {
      if (spaced.size() < 4)
        throw ArgumentError(name(),
                            "Runge-Kutta steps (skip_prk_steps = false) need at least 4 steps, found " +
                                std::to_string(options.steps));
      // The calls of a Runge-Kutta step lie at its beginning, twice at its middle, and at its end.
      for (std::size_t k = 0; k < 3; ++k)
        for (const double t :
             {spaced[k], spaced[k + 1] + stride_ / 2, spaced[k + 1] + stride_ / 2, spaced[k + 1]})
          timesteps.push_back(t);
      prk_calls_ = 12;
      for (Index k = 0; k < prk_calls_; ++k)
        prk_timesteps_[static_cast<std::size_t>(k)] =
            static_cast<int>(timesteps[static_cast<std::size_t>(k)]);
      timesteps.insert(timesteps.end(), spaced.begin() + 3, spaced.end());
    }
    prepare(timesteps, options.first_call, config.prediction_type);
  }

 private:
  Tensor<float> advance(const Tensor<float>& model_output, Index i, const Tensor<float>& sample,
                        const NoiseSource&) override {
    const Index counter = i - first_call_;
    return counter < prk_calls_ ? runge_kutta(model_output, counter, timestep(i), sample)
                                : multistep(model_output, counter, timestep(i), sample);
  }

  /// One of the four calls of a Runge-Kutta step, equation 13.
  Tensor<float> runge_kutta(const Tensor<float>& model_output, Index counter, int t,
                            const Tensor<float>& sample) {
    const Index stage = counter % 4;
    Tensor<float> combined = model_output;
    if (stage == 0) {
      history_.push(model_output.clone());
      step_sample_ = sample.clone();
      weighted_sum_ = Tensor<float>(sample.shape());
      array(weighted_sum_) = static_cast<float>(1.0 / 6.0) * array(model_output);
    } else {
      const auto weight = static_cast<float>(stage == 3 ? 1.0 / 6.0 : 1.0 / 3.0);
      Tensor<float> sum(sample.shape());
      array(sum) = array(weighted_sum_) + weight * array(model_output);
      weighted_sum_ = sum;
      if (stage == 3) combined = sum;
    }
    const int begin = prk_timesteps_[static_cast<std::size_t>(counter - stage)];
    return transfer(step_sample_, begin, t - (counter % 2 == 0 ? stride_ / 2 : 0), combined);
  }

  /// A linear multistep step, equation 12, of the order that the history allows.
  Tensor<float> multistep(const Tensor<float>& model_output, Index counter, int t,
                          const Tensor<float>& sample) {
    // The second call repeats the first step with the mean of both outputs (Heun's method).
    const bool repeats = counter == 1;
    if (repeats) {
      Tensor<float> mean(sample.shape());
      array(mean) = (array(model_output) + array(history_[0])) / 2.0f;
      return transfer(step_sample_, t + stride_, t, mean);
    }
    history_.push(model_output.clone());
    if (history_.size() == 1) step_sample_ = sample.clone();
    return transfer(sample, t, t - stride_, adams_bashforth(history_));
  }

  /// From timestep `t` to `prev_t` along `model_output`, equation 11.
  Tensor<float> transfer(const Tensor<float>& sample, int t, int prev_t, const Tensor<float>& model_output) {
    const float alpha_prod_t = alpha_prod(t);
    const float alpha_prod_prev =
        alpha_prod(prev_t, config_.set_alpha_to_one ? 1.0f : schedule_.alphas_cumprod().front());
    const float beta_prod = 1.0f - alpha_prod_t, beta_prod_prev = 1.0f - alpha_prod_prev;
    const Mixture at{.alpha = std::sqrt(alpha_prod_t), .sigma = std::sqrt(beta_prod)};
    const Tensor<float> epsilon = predict_epsilon(config_.prediction_type, model_output, sample, at);

    const float sample_factor = std::sqrt(alpha_prod_prev / alpha_prod_t);
    const float denominator =
        alpha_prod_t * std::sqrt(beta_prod_prev) + std::sqrt(alpha_prod_t * beta_prod * alpha_prod_prev);
    Tensor<float> result(sample.shape());
    array(result) =
        sample_factor * array(sample) - (alpha_prod_prev - alpha_prod_t) * array(epsilon) / denominator;
    pred_original_sample_ = predict_original(PredictionType::epsilon, epsilon, sample, at);
    return result;
  }

  PndmConfig config_;
  int stride_;
  Index first_call_;
  Index prk_calls_ = 0;
  std::array<int, 12> prk_timesteps_{};
  PredictionHistory history_{4};
  Tensor<float> step_sample_, weighted_sum_;
};

}  // namespace

PndmConfig PndmConfig::from(const daguerre::Config& config) {
  PndmConfig result;
  result.schedule = read_noise_schedule(config, {});
  result.prediction_type = read_prediction_type(config, {.sample = false});
  read_timesteps(config, result.timestep_spacing, result.steps_offset);
  result.set_alpha_to_one = config.get("set_alpha_to_one", result.set_alpha_to_one);
  result.skip_prk_steps = config.get("skip_prk_steps", result.skip_prk_steps);
  return result;
}

PndmSampler::PndmSampler(const PndmConfig& config)
    : config_(config), schedule_(config.schedule, TerminalAlpha::exact) {}

std::unique_ptr<SamplerRun> PndmSampler::start(const RunOptions& options) const {
  check_run("PNDMScheduler", options, schedule_.num_train_timesteps());
  return std::make_unique<PndmRun>(config_, schedule_, options);
}

}  // namespace daguerre::samplers

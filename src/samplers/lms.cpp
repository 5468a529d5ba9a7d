#include "daguerre/samplers/lms.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <utility>

#include "daguerre/core/eigen.hpp"
#include "samplers/multistep.hpp"
#include "samplers/read_config.hpp"
#include "samplers/runs.hpp"

namespace daguerre::samplers {
namespace {

constexpr const char* lms_name = "LMSDiscreteScheduler";
constexpr Index max_order = 4;

class LmsRun final : public SigmaRun {
 public:
  LmsRun(const LmsConfig& config, const NoiseSchedule& schedule, const RunOptions& options)
      : SigmaRun(lms_name), config_(config), first_call_(options.first_call) {
    const Levels levels = sigma_levels(lms_name, schedule, config, options);
    sigmas_ = with_final_sigma(levels.sigmas, FinalSigma::zero, 0.0f);
    timesteps_.assign(levels.timesteps.begin(), levels.timesteps.end());
    set_init_noise_sigma(config.timestep_spacing == TimestepSpacing::leading);
    begin(options.first_call);
    for (Index i = first_call_; i < calls(); ++i)
      if (!step_at(i).finite())
        throw ArgumentError(lms_name, "two of the noise levels before call " + std::to_string(i) +
                                          " are equal; take another number of steps");
  }

 private:
  LinearStep step_at(Index i) const {
    const Index order = std::min(i - first_call_ + 1, max_order);
    LinearStep step{.order = static_cast<int>(order), .prediction = sigma(i + 1) - sigma(i)};
    for (Index k = 0; k < order; ++k) step.differences.push_back(k == 0 ? 0.0f : weight(i, order, k));
    return step;
  }

  /// Gauss's rule with two nodes, which is exact for the polynomials of degree 3 at most.
  float weight(Index i, Index order, Index k) const {
    const double middle = 0.5 * (static_cast<double>(sigma(i)) + sigma(i + 1));
    const double half = 0.5 * (static_cast<double>(sigma(i + 1)) - sigma(i));
    double sum = 0.0;
    for (const double node : {-1.0 / std::sqrt(3.0), 1.0 / std::sqrt(3.0)}) {
      double lagrange = 1.0;
      for (Index j = 0; j < order; ++j)
        if (j != k)
          lagrange *=
              (middle + half * node - sigma(i - j)) / (static_cast<double>(sigma(i - k)) - sigma(i - j));
      sum += lagrange;
    }
    return static_cast<float>(sum * half);
  }

  Tensor<float> advance(const Tensor<float>& model_output, Index i, const Tensor<float>& sample,
                        const NoiseSource&) override {
    const float at = sigma(i);
    Tensor<float> original = predict_original_unscaled(config_.prediction_type, model_output, sample, at, at);
    Tensor<float> derivative(sample.shape());
    array(derivative) = (array(sample) - array(std::as_const(original))) / at;
    history_.push(std::move(derivative));
    pred_original_sample_ = std::move(original);
    return history_.apply(step_at(i), sample);
  }

  LmsConfig config_;
  Index first_call_;
  PredictionHistory history_{static_cast<std::size_t>(max_order)};
};

}  // namespace

LmsConfig LmsConfig::from(const daguerre::Config& config) {
  LmsConfig result;
  read_sigma_sampler(config, {}, {}, result);
  // The only class whose Karras levels do not follow the ends that another class may have left.
  if (result.sigma_spacing == SigmaSpacing::karras) result.sigma_min = result.sigma_max = std::nullopt;
  return result;
}

LmsSampler::LmsSampler(const LmsConfig& config)
    : config_(config), schedule_(config.schedule, TerminalAlpha::finite) {
  check_sigma_sampler(lms_name, config);
}

std::unique_ptr<SamplerRun> LmsSampler::start(const RunOptions& options) const {
  check_run(lms_name, options, schedule_.num_train_timesteps());
  return std::make_unique<LmsRun>(config_, schedule_, options);
}

}  // namespace daguerre::samplers

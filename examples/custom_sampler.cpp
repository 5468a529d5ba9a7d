// A sampler of one's own, added to the library's from outside: DDIM over timesteps whose noise levels are
// evenly spaced in log sigma. Makes one picture with it.
//
//     custom_sampler MODEL_FOLDER [PICTURE.png]

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <daguerre/daguerre.hpp>
#include <daguerre/samplers/noise_schedule.hpp>
#include <daguerre/samplers/prediction.hpp>
#include <daguerre/samplers/registry.hpp>
#include <daguerre/samplers/timesteps.hpp>

namespace {

using namespace daguerre;
using samplers::Mixture;
using samplers::NoiseSchedule;
using samplers::NoiseSource;

/// One pass from noise to sample: owns what changes from step to step, here nothing.
class LogSpacedRun final : public samplers::SamplerRun {
 public:
  LogSpacedRun(NoiseSchedule schedule, const samplers::RunOptions& options)
      : SamplerRun("LogSpacedScheduler"), schedule_(std::move(schedule)) {
    const auto sigmas = schedule_.sigmas();
    const double high = std::log(sigmas.back()), low = std::log(sigmas.front());
    for (int k = 0; k < options.steps; ++k) {
      const double level = std::exp(high + (low - high) * k / std::max(options.steps - 1, 1));
      const auto nearest = std::lower_bound(sigmas.begin(), sigmas.end(), static_cast<float>(level));
      const auto t = static_cast<float>(std::min(nearest, sigmas.end() - 1) - sigmas.begin());
      if (timesteps_.empty() || t < timesteps_.back()) timesteps_.push_back(t);
    }
    begin(options.first_call);
  }

 private:
  /// The coefficients of the sample that call `i` is made at; after the last one there is no noise left.
  Mixture at(Index i) const {
    if (i >= calls()) return {.alpha = 1.0f, .sigma = 0.0f};
    const auto t = static_cast<std::size_t>(timesteps_[static_cast<std::size_t>(i)]);
    const float a = schedule_.alphas_cumprod()[t];
    return {.alpha = std::sqrt(a), .sigma = std::sqrt(1.0f - a)};
  }

  Tensor<float> advance(const Tensor<float>& model_output, Index i, const Tensor<float>& sample,
                        const NoiseSource&) override {
    using samplers::PredictionType;
    pred_original_sample_ = samplers::predict_original(PredictionType::epsilon, model_output, sample, at(i));
    return samplers::mix(pred_original_sample_, model_output, at(i + 1));
  }

  Tensor<float> noised(const Tensor<float>& original, const Tensor<float>& noise, Index i) const override {
    return samplers::mix(original, noise, at(i));
  }

  NoiseSchedule schedule_;
};

/// What does not change. Reads the keys that it knows of the model's scheduler_config.json.
class LogSpacedSampler final : public samplers::Sampler {
 public:
  explicit LogSpacedSampler(const Config& config)
      : schedule_({.num_train_timesteps = config.get("num_train_timesteps", 1000),
                   .beta_start = config.get("beta_start", 0.00085),
                   .beta_end = config.get("beta_end", 0.012),
                   .beta_schedule = samplers::BetaSchedule::scaled_linear},
                  samplers::TerminalAlpha::finite) {
    config.expect("beta_schedule", {"\"scaled_linear\""});
    config.expect("prediction_type", {"\"epsilon\""});
  }

  std::unique_ptr<samplers::SamplerRun> start(const samplers::RunOptions& options) const override {
    samplers::check_steps("LogSpacedScheduler", options.steps, schedule_.num_train_timesteps());
    return std::make_unique<LogSpacedRun>(schedule_, options);
  }
  std::span<const float> alphas_cumprod() const override { return schedule_.alphas_cumprod(); }

 private:
  NoiseSchedule schedule_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s MODEL_FOLDER [PICTURE.png]\n", argv[0]);
    return 2;
  }
  try {
    auto registry = samplers::SamplerRegistry::standard();
    registry.add("LogSpacedScheduler",
                 [](const Config& config) { return std::make_shared<const LogSpacedSampler>(config); });
    registry.add_name("log-spaced", "LogSpacedScheduler");

    LoadOptions load;
    load.samplers = std::make_shared<const samplers::SamplerRegistry>(std::move(registry));
    const auto pipe = Pipeline::load(argv[1], load);
    const auto made = pipe.generate({
        .prompt = "a lighthouse at dawn",
        .sampling = {.steps = 12, .seed = 42, .sampler = "log-spaced"},
        .on_step =
            [](const Step& step) {
              std::printf("timestep %g\n", static_cast<double>(step.timestep));
              return true;
            },
    });
    const std::string path = argc > 2 ? argv[2] : "custom_sampler.png";
    made.save_png(path);
    std::puts(path.c_str());
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}

#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <daguerre/daguerre.hpp>
#include <daguerre/metrics/frechet_distance.hpp>

#include "commands.hpp"
#include "picture_features.hpp"
#include "results.hpp"
#include "sampler_run.hpp"
#include "training_set.hpp"

namespace daguerre::study {
namespace {

constexpr const char* distance_name = "latent Frechet distance (emoji autoencoder, 4x4x4)";

struct SamplersOrder {
  LatentMaker::Options make;
  std::string pictures, out, precision = "f32";
  bool unconditional = false;
  std::size_t samples = 500;
  std::vector<std::string> cells{"dpm++2m:5",   "ddim:5",   "ddpm:5",   "dpm++2m:10", "ddim:10", "ddpm:10",
                                 "dpm++2m:20",  "ddim:20",  "ddpm:20",  "dpm++2m:50", "ddim:50", "ddpm:50",
                                 "dpm++2m:100", "ddim:100", "ddpm:100", "ddpm:1000"};
};

/// How near pictures are to the training set.
class Measure {
 public:
  Measure(const PictureFeatures& features, const TrainingSet& training, std::vector<std::size_t> chosen)
      : features_(features),
        training_(features.of(training.pictures)),
        reference_(metrics::FeatureStatistics::of(pooled(training_)).gaussian()),
        chosen_(std::move(chosen)) {}

  Json operator()(const std::string& sampler, int steps, const std::vector<Image>& pictures,
                  double seconds) const {
    const auto latents = features_.of(pictures);
    const auto estimate = metrics::estimate_frechet_distance(pooled(latents), reference_);
    double right = 0.0, distance = 0.0;
    const auto matches = nearest(latents, training_);
    for (std::size_t i = 0; i < matches.size(); ++i) {
      right += matches[i].index == chosen_[i] ? 1.0 : 0.0;
      distance += matches[i].distance;
    }
    const auto count = static_cast<double>(matches.size());
    return {{"sampler", sampler},         {"steps", steps},
            {"distance", estimate.value}, {"low", estimate.low},
            {"high", estimate.high},      {"bias_corrected", estimate.bias_corrected},
            {"right", right / count},     {"nearest", distance / count},
            {"seconds", seconds}};
  }

 private:
  const PictureFeatures& features_;
  Tensor<float> training_;
  metrics::Gaussian reference_;
  std::vector<std::size_t> chosen_;
};

void measure_samplers(SamplersOrder order) {
  order.make.precision = precision_called(order.precision);
  Results results(order.out, distance_name,
                  settings_of(order.make, order.precision, order.unconditional, order.samples));
  const auto training = TrainingSet::load(order.pictures);
  const auto chosen = draw(training.names.size(), order.samples, static_cast<std::uint32_t>(order.make.seed));
  const PictureFeatures features(order.make.model, order.make.threads);
  const Measure measure(features, training, chosen);

  // The best that samples of this number can reach, and the best that go through the decoder.
  const auto originals = chosen_from(training.pictures, chosen);
  if (!results.has("training pictures", 0)) results.add(measure("training pictures", 0, originals, 0.0));
  if (!results.has("reconstructed pictures", 0))
    results.add(measure("reconstructed pictures", 0, features.reconstructed(originals), 0.0));

  const LatentMaker maker(order.make, order.unconditional ? std::vector<std::string>(order.samples)
                                                          : chosen_from(training.names, chosen));
  for (const auto& text : order.cells) {
    const auto cell = cell_called(text);
    if (results.has(cell.sampler, cell.steps)) continue;
    const auto start = std::chrono::steady_clock::now();
    const auto latents = maker.make(cell.sampler, cell.steps, progress_of(text, order.samples));
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    results.add(measure(cell.sampler, cell.steps, features.decode(latents), took.count()));
  }
}

}  // namespace

void add_samplers(CLI::App& parent) {
  auto& app = *parent.add_subcommand(
      "samplers",
      "How near to the training set each sampler comes in how many steps: the Frechet distance of the "
      "autoencoder's latents, averaged to 4 x 4 x 4, with a 95 % interval. Prompts are names drawn at "
      "random, "
      "the seeds the same for every cell. Goes on from --out; plot_samplers.py draws it.");
  const auto order = std::make_shared<SamplersOrder>();
  add_sampling_options(app, order->make, order->precision, order->unconditional);
  app.add_option("--pictures", order->pictures, "What train_emoji.py pictures wrote")->required();
  app.add_option("--out", order->out, "JSON file of the finished cells")->required();
  app.add_option("--samples", order->samples, "Pictures of a cell")
      ->check(CLI::Range(50, 1000000))
      ->capture_default_str();
  app.add_option("--cells", order->cells, "sampler:steps, …")->check(valid_cell)->capture_default_str();
  app.callback([order] { measure_samplers(*order); });
}

}  // namespace daguerre::study

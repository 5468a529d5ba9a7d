#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <daguerre/metrics/frechet_distance.hpp>

#include "commands.hpp"
#include "picture_features.hpp"
#include "results.hpp"
#include "training_set.hpp"

namespace daguerre::study {
namespace {

struct FloorOrder {
  std::string model, pictures;
  std::size_t samples = 500;
  std::uint32_t seed = 0;
  int threads = 0;
};

void measure_floor(const FloorOrder& order) {
  const auto training = TrainingSet::load(order.pictures);
  const PictureFeatures features(order.model, order.threads);
  const auto reference = metrics::FeatureStatistics::of(pooled(features.of(training.pictures))).gaussian();
  const auto originals =
      chosen_from(training.pictures, draw(training.names.size(), order.samples, order.seed));
  const auto measure = [&](const char* what, const std::vector<Image>& pictures) {
    const auto found = metrics::estimate_frechet_distance(pooled(features.of(pictures)), reference);
    const Json cell{{"sampler", what}, {"distance", found.value}, {"low", found.low}, {"high", found.high}};
    std::printf("%s\n", cell.dump().c_str());
  };
  measure("training pictures", originals);
  measure("reconstructed pictures", features.reconstructed(originals));
}

}  // namespace

void add_floor(CLI::App& parent) {
  auto& app = *parent.add_subcommand(
      "floor",
      "How near to the training set pictures of it are by themselves, drawn as `daguerre eval model "
      "--draw-prompts` draws names, and how near after the autoencoder: what no sampler can be better than. "
      "The measure is that command's latent-fid.");
  const auto order = std::make_shared<FloorOrder>();
  app.add_option("--model", order->model, "Model folder")->required();
  app.add_option("--pictures", order->pictures, "What train_emoji.py pictures wrote")->required();
  app.add_option("--samples", order->samples, "Pictures that are drawn")
      ->check(CLI::Range(50, 1000000))
      ->capture_default_str();
  app.add_option("--seed", order->seed, "Of the drawing")->capture_default_str();
  app.add_option("--threads", order->threads, "0: as many as processors")->capture_default_str();
  app.callback([order] { measure_floor(*order); });
}

}  // namespace daguerre::study

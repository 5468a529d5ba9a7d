#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <daguerre/daguerre.hpp>

#include "commands.hpp"
#include "picture_features.hpp"
#include "training_set.hpp"

namespace daguerre::study {
namespace {

struct NearestOrder {
  std::string model, pictures, precision = "auto";
  std::size_t prompts = 100;
  std::uint32_t seed = 0;
  float guidance = 3.0f;
  int steps = 20, threads = 0;
};

void count_right_ones(const NearestOrder& order) {
  const auto training = TrainingSet::load(order.pictures);
  const auto chosen = draw_distinct(training.names.size(), order.prompts, order.seed);
  const auto pipeline =
      Pipeline::load(order.model, {.precision = precision_called(order.precision), .threads = order.threads});
  const PictureFeatures features(order.model, pipeline.info().threads);

  std::vector<Image> made;
  Request request;
  request.sampling.steps = order.steps;
  request.guidance.scale = order.guidance;
  for (const auto i : chosen) {
    request.prompt = training.names[i];
    request.sampling.seed = order.seed + made.size();
    made.push_back(pipeline.generate(request).images.front());
  }
  const auto matches = nearest(features.of(made), features.of(training.pictures));
  int right = 0;
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    if (matches[i].index == chosen[i])
      ++right;
    else
      std::printf("wrong: %s is nearest to %s\n", training.names[chosen[i]].c_str(),
                  training.names[matches[i].index].c_str());
  }
  std::printf("nearest training picture is the right one: %d of %zu (%d steps, guidance %g, %s)\n", right,
              chosen.size(), order.steps, static_cast<double>(order.guidance),
              std::string(short_name(pipeline.info().precision)).c_str());
}

}  // namespace

void add_nearest(CLI::App& parent) {
  auto& app = *parent.add_subcommand(
      "nearest",
      "Makes a picture of each of some names, drawn at random, and counts those whose nearest training "
      "picture is the right one, by the Euclidean distance of the autoencoder's latents (posterior means of "
      "the 8-bit pictures).");
  const auto order = std::make_shared<NearestOrder>();
  app.add_option("--model", order->model, "Model folder")->required();
  app.add_option("--pictures", order->pictures, "What train_emoji.py pictures wrote")->required();
  app.add_option("--prompts", order->prompts, "How many names")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--seed", order->seed, "Of the drawing and of the first picture")->capture_default_str();
  app.add_option("--guidance", order->guidance, "Guidance scale")->capture_default_str();
  app.add_option("--steps", order->steps, "Steps of the model's own sampler")->capture_default_str();
  app.add_option("--precision", order->precision, "auto, f32, bf16 or int8")->capture_default_str();
  app.add_option("--threads", order->threads, "0: as many as processors")->capture_default_str();
  app.callback([order] { count_right_ones(*order); });
}

}  // namespace daguerre::study

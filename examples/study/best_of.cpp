#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <daguerre/daguerre.hpp>
#include <daguerre/pipeline/best_of.hpp>

#include "commands.hpp"
#include "picture_features.hpp"
#include "training_set.hpp"

namespace daguerre::study {
namespace {

struct BestOfOrder {
  std::string model, pictures, judge, precision = "auto";
  std::size_t prompts = 50;
  std::uint32_t seed = 0;
  float guidance = 1.0f;
  int candidates = 16, steps = 20, threads = 0;
  bool keywords = false, classes = false;
};

/// Whether each candidate's nearest training picture is the right one, in the order of their numbers, and the
/// candidates' scores.
struct NamedCandidates {
  std::vector<bool> right;
  std::vector<double> scores;

  /// Of the first `count`, the one with the highest score.
  bool best_is_right(std::size_t count) const {
    const auto best = std::max_element(scores.begin(), scores.begin() + static_cast<std::ptrdiff_t>(count));
    return right[static_cast<std::size_t>(best - scores.begin())];
  }
  bool any_is_right(std::size_t count) const {
    return std::find(right.begin(), right.begin() + static_cast<std::ptrdiff_t>(count), true) !=
           right.begin() + static_cast<std::ptrdiff_t>(count);
  }
};

/// A prompt, and the training pictures that are right for it.
struct Subject {
  std::string prompt;
  std::vector<std::size_t> right;

  bool is_right(std::size_t picture) const {
    return std::find(right.begin(), right.end(), picture) != right.end();
  }
};

/// The pictures' names; the first three keywords of those that have two at least; or the classes, of which
/// all pictures are right.
std::vector<Subject> subjects_of(const TrainingSet& training, const BestOfOrder& order) {
  std::vector<Subject> result;
  for (std::size_t i = 0; i < training.names.size(); ++i) {
    if (order.classes) {
      const auto& name = training.classes[i];
      const auto known = std::find_if(result.begin(), result.end(),
                                      [&](const Subject& subject) { return subject.prompt == name; });
      if (known != result.end())
        known->right.push_back(i);
      else
        result.push_back({name, {i}});
      continue;
    }
    if (!order.keywords) {
      result.push_back({training.names[i], {i}});
      continue;
    }
    const auto& words = training.keywords[i];
    std::size_t end = words.find(',');
    if (end == std::string::npos) continue;
    for (int more = 0; more < 2 && end != std::string::npos; ++more) end = words.find(',', end + 1);
    result.push_back({words.substr(0, end), {i}});
  }
  return result;
}

void count_best_ones(const BestOfOrder& order) {
  const auto training = TrainingSet::load(order.pictures);
  const auto subjects = subjects_of(training, order);
  const auto chosen = chosen_from(subjects, draw_distinct(subjects.size(), order.prompts, order.seed));
  const auto pipeline =
      Pipeline::load(order.model, {.precision = precision_called(order.precision), .threads = order.threads});
  const auto judge = PictureJudge::load(order.judge, {.threads = order.threads});
  const PictureFeatures features(order.model, pipeline.info().threads);
  const auto known = features.of(training.pictures);

  std::vector<NamedCandidates> all;
  for (const auto& subject : chosen) {
    Request request;
    if (order.classes)
      request.class_name = subject.prompt;
    else
      request.prompt = subject.prompt;
    request.sampling.steps = order.steps;
    request.sampling.seed = order.seed + static_cast<std::uint64_t>(all.size()) * 1000;
    request.guidance.scale = order.guidance;
    request.output.latents = false;
    const auto made =
        best_of(pipeline, request, judge, {.candidates = order.candidates, .keep = order.candidates});
    const auto matches = nearest(features.of(made.result.images), known);
    NamedCandidates named{std::vector<bool>(made.candidates.size()), {}};
    for (std::size_t n = 0; n < matches.size(); ++n)
      named.right[made.result.seeds[n] - *request.sampling.seed] = subject.is_right(matches[n].index);
    for (const auto& candidate : made.candidates) named.scores.push_back(candidate.score);
    all.push_back(std::move(named));
    const auto count = std::count(all.back().right.begin(), all.back().right.end(), true);
    std::fprintf(stderr, "%zu/%zu %s: %d right, the best %s\n", all.size(), chosen.size(),
                 subject.prompt.c_str(), static_cast<int>(count),
                 training.names[matches.front().index].c_str());
  }
  std::printf("%d %s, %d steps, guidance %g, %s, judge %s\n", static_cast<int>(chosen.size()),
              order.keywords  ? "lists of keywords"
              : order.classes ? "classes"
                              : "names",
              order.steps, static_cast<double>(order.guidance),
              std::string(short_name(pipeline.info().precision)).c_str(), judge.name().c_str());
  for (std::size_t count = 1; count <= static_cast<std::size_t>(order.candidates); count *= 2) {
    const auto share = [&](auto is_right) {
      return static_cast<double>(std::count_if(all.begin(), all.end(), is_right)) * 100.0 /
             static_cast<double>(all.size());
    };
    std::printf("best of %2zu: %3.0f %% right; among them a right one: %3.0f %%\n", count,
                share([&](const NamedCandidates& named) { return named.best_is_right(count); }),
                share([&](const NamedCandidates& named) { return named.any_is_right(count); }));
  }
  std::size_t right = 0, made = 0;
  for (const auto& named : all) {
    right += static_cast<std::size_t>(std::count(named.right.begin(), named.right.end(), true));
    made += named.right.size();
  }
  std::printf("of all %zu candidates %.1f %% are right\n", made,
              100.0 * static_cast<double>(right) / static_cast<double>(made));
}

}  // namespace

void add_best_of(CLI::App& parent) {
  auto& app = *parent.add_subcommand("best-of",
                                     "Makes candidates for each of some names, drawn at random, lets a judge "
                                     "choose, and counts those chosen "
                                     "whose nearest training picture is the right one, by the Euclidean "
                                     "distance of the autoencoder's latents, "
                                     "which the judge does not see.");
  const auto order = std::make_shared<BestOfOrder>();
  app.add_option("--model", order->model, "Model folder")->required();
  app.add_option("--pictures", order->pictures, "What train_emoji.py pictures wrote")->required();
  app.add_option("--judge", order->judge, "clip:PATH or hps:PATH")->required();
  app.add_option("--prompts", order->prompts, "How many names")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--candidates", order->candidates, "For each")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--seed", order->seed, "Of the drawing and of the first candidate")->capture_default_str();
  app.add_flag("--keywords", order->keywords,
               "Prompts are up to three keywords of a picture in the place of its name");
  app.add_flag("--classes", order->classes,
               "Prompts are classes, of which every picture is right: for models of classes")
      ->excludes("--keywords");
  app.add_option("--guidance", order->guidance, "Guidance scale")->capture_default_str();
  app.add_option("--steps", order->steps, "Steps of the model's own sampler")->capture_default_str();
  app.add_option("--precision", order->precision, "auto, f32, bf16 or int8")->capture_default_str();
  app.add_option("--threads", order->threads, "0: as many as processors")->capture_default_str();
  app.callback([order] { count_best_ones(*order); });
}

}  // namespace daguerre::study

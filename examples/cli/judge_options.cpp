#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>

#include <daguerre/pipeline/best_of.hpp>

#include "interrupt.hpp"
#include "numbers.hpp"
#include "order.hpp"
#include "progress.hpp"

namespace daguerre::cli {
namespace {

const std::string judging_heading = "The best of several";

/// A score in four digits.
std::string score_text(double score) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", score);
  return text;
}

/// "best of 16 by clip:judge: seed 51 33.12, seed 44 31.9; all from 12.05 to 33.12"
std::string best_of_note(const BestOfResult& made, const PictureJudge& judge) {
  std::string text = "best of " + std::to_string(made.candidates.size()) + " by " + judge.name() + ": ";
  for (std::size_t i = 0; i < made.result.scores.size(); ++i)
    text += (i == 0 ? "seed " : ", seed ") + std::to_string(made.result.seeds[i]) + " " +
            score_text(made.result.scores[i]);
  const auto [least, most] =
      std::minmax_element(made.candidates.begin(), made.candidates.end(),
                          [](const Candidate& a, const Candidate& b) { return a.score < b.score; });
  const bool drafts =
      made.candidates.front().finished_score || made.candidates.back().finished_score || most->finished_score;
  return text + (drafts ? "; drafts from " : "; all from ") + score_text(least->score) + " to " +
         score_text(most->score);
}

}  // namespace

void add_judge_options(CLI::App& app, Order& order) {
  auto& judging = order.judging;
  auto* best_of = add_number(app, "--best-of", judging.best_of, {1, 10'000},
                             "Make so many candidates, of seed, seed + 1 ..., and keep the --count best")
                      ->type_name("N")
                      ->group(judging_heading);
  auto* judge =
      app.add_option("--judge", judging.judge, "What scores them: a CLIP model (folder or file), or HPSv2's")
          ->check(file_name())
          ->type_name("clip:PATH|hps:PATH")
          ->needs(best_of)
          ->group(judging_heading);
  best_of->needs(judge);
  add_number(
      app, "--draft-steps", judging.draft_steps, {.least = 1},
      "Candidates are made in so few steps, and those that are kept are then finished; otherwise all are")
      ->needs(best_of)
      ->type_name("N")
      ->group(judging_heading);
  best_of->excludes(app.get_option("--refiner"))->excludes(app.get_option("--latents"));
}

std::optional<PictureJudge> load_judge(const Order& order, Progress& progress, const Interrupt& interrupt) {
  if (order.judging.judge.empty()) return std::nullopt;
  if (order.count.value_or(1) > *order.judging.best_of)
    throw ArgumentError("--best-of", "--count keeps " + std::to_string(*order.count) + " pictures of " +
                                         std::to_string(*order.judging.best_of));
  progress.stage("loading " + order.judging.judge);
  const char* fallback = std::getenv("DAGUERRE_TOKENIZERS");
  return PictureJudge::load(
      order.judging.judge,
      {.engine = order.load.engine,
       .precision = order.load.precision == Precision::int8 ? Precision::automatic : order.load.precision,
       .threads = order.load.threads,
       .tokenizer = order.tokenizer,
       .tokenizer_fallback = fallback != nullptr ? fallback : "",
       .log = order.load.log,
       .stop = interrupt.token()});
}

Result generate(const Order& order, const Pipeline& pipeline, const std::optional<PictureJudge>& judge,
                Progress& progress) {
  if (!judge) return pipeline.generate(order.request);
  auto request = order.request;
  BestOfOptions options;
  options.candidates = *order.judging.best_of;
  options.keep = request.output.count.value_or(1);
  options.draft_steps = order.judging.draft_steps;
  request.output.count = 1;
  auto made = best_of(pipeline, request, *judge, options);
  progress.note(best_of_note(made, *judge));
  return std::move(made.result);
}

}  // namespace daguerre::cli

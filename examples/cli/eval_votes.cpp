#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <daguerre/evaluation/process_group.hpp>
#include <daguerre/evaluation/votes.hpp>

#include "commands.hpp"
#include "eval_common.hpp"
#include "files.hpp"
#include "order.hpp"
#include "progress.hpp"

namespace daguerre::cli {
namespace {

struct VoteEvaluation {
  std::string file, key, errors = "auto", json;
  std::vector<std::string> models;
};

void carry_out(const VoteEvaluation& ask) {
  if (!ask.json.empty()) check_writable("--json", ask.json);
  std::optional<evaluation::BlindKey> key;
  if (!ask.key.empty()) key = evaluation::BlindKey::load(ask.key);
  evaluation::VoteOptions options;
  options.errors = evaluation::vote_errors_called(ask.errors);
  options.models = ask.models;
  if (key && options.models.empty()) options.models = {key->a, key->b};
  const auto votes = evaluation::read_votes(ask.file, key ? &*key : nullptr);
  const auto report = evaluation::evaluate_votes(votes, options).report();
  Progress progress(false);
  show_report(report, progress, ask.json);
}

}  // namespace

void add_eval_votes(CLI::App& parent, evaluation::ProcessGroup& group) {
  auto* app = parent.add_subcommand(
      "votes",
      "Turn people's votes on pairs of pictures into strengths, with intervals and raters' agreement");
  app->footer(
      "The file is CSV with a header, or an object on each line (.jsonl): item, rater, question, left, "
      "right, choice, "
      "the last being a (left), b (right) or tie. With --key, left and right may be left out.\n"
      "Example:\n"
      "  daguerre eval votes votes.csv --key ballot.key.json");
  const auto ask = std::make_shared<VoteEvaluation>();
  app->add_option("votes", ask->file, "The votes")->type_name("FILE")->required()->check(file_name());
  app->add_option("--key", ask->key,
                  "Which picture is whose: what eval compare --votes wrote beside the folder")
      ->check(file_name())
      ->type_name("FILE");
  app->add_option("--models", ask->models, "The only models that votes may be on")
      ->delimiter(',')
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->type_name("NAME,...");
  app->add_option(
         "--independent", ask->errors,
         "What intervals take to be independent: votes, items or raters; auto is items where there are ten, "
         "else votes")
      ->check(CLI::IsMember({"auto", "votes", "items", "raters"}))
      ->type_name("NAME")
      ->capture_default_str();
  app->add_option("--json", ask->json, "Write the figures as JSON, too")
      ->check(file_name())
      ->type_name("FILE");
  app->callback([ask, &group] {
    if (group.rank() == 0) carry_out(*ask);  // there is nothing to share out
  });
}

}  // namespace daguerre::cli

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <daguerre/evaluation/process_group.hpp>

#include "commands.hpp"
#include "eval_common.hpp"
#include "eval_generation.hpp"
#include "files.hpp"
#include "interrupt.hpp"
#include "numbers.hpp"
#include "progress.hpp"

namespace daguerre::cli {
namespace {

struct ModelComparison {
  GenerationOrder generation;
  std::string a, b;
  std::vector<std::string> names{"A", "B"};
  std::string votes;
  std::vector<std::string> questions{"alignment", "fidelity"};
  std::uint64_t votes_seed = 0;
  bool quiet = false;
};

/// What one side's options say, behind those of both.
std::shared_ptr<Order> side_order(const char* name, const std::vector<std::string>& common,
                                  const std::string& own) {
  CLI::App app("The options of one side", name);
  app.set_help_flag();
  const auto order = std::make_shared<Order>();
  add_model_options(app, *order);
  auto arguments = common;
  for (auto& argument : CLI::detail::split_up(own)) arguments.push_back(CLI::detail::remove_quotes(argument));
  std::ranges::reverse(arguments);  // as CLI11 takes them
  try {
    app.parse(arguments);
    require_model(*order);
  } catch (const CLI::ParseError& error) {
    throw CLI::ValidationError(name, error.what());
  }
  return order;
}

void carry_out(const ModelComparison& ask, const std::vector<std::string>& common,
               evaluation::ProcessGroup& group) {
  const Interrupt interrupt;
  const bool speaks = group.rank() == 0;
  Progress progress(ask.quiet || !speaks);
  const auto a = side_order("--a", common, ask.a), b = side_order("--b", common, ask.b);
  const auto items = items_of(ask.generation);
  if (!ask.generation.json.empty() && speaks) check_writable("--json", ask.generation.json);

  const auto first = load_for_evaluation(*a, group, progress, interrupt);
  const auto second = load_for_evaluation(*b, group, progress, interrupt);
  const auto measures =
      load_measures(ask.generation, *a, job_of(ask.generation, group, progress, interrupt, "reference"),
                    progress, interrupt);
  evaluation::ComparisonOptions options;
  options.job = job_of(ask.generation, group, progress, interrupt, "pairs of pictures");
  options.votes = ask.votes;
  options.votes_seed = ask.votes_seed;
  options.questions = ask.questions;
  const auto report = evaluation::compare_models({ask.names[0], sample_of(ask.generation, *a, first, items)},
                                                 {ask.names[1], sample_of(ask.generation, *b, second, items)},
                                                 measures, options);
  progress.clear();
  if (!speaks) return;
  if (!ask.votes.empty())
    progress.note(ask.votes + ": pictures to vote on; " + evaluation::blind_key_path(ask.votes).string() +
                  ": which is whose");
  show_report(report, progress, ask.generation.json);
}

}  // namespace

void add_eval_compare(CLI::App& parent, evaluation::ProcessGroup& group) {
  auto* app =
      parent.add_subcommand("compare", "Make the same pictures in two ways, and measure them pair by pair");
  app->footer(
      "Options of a model and of how it makes pictures, as txt2img has them (--model, --steps, --sampler, "
      "--guidance, "
      "--lora, --precision ...), are for both sides; those in --a and --b for one, where they win.\n"
      "Examples:\n"
      "  daguerre eval compare --model models/sdxl --prompts PartiPrompts.tsv --metrics "
      "clip:models/clip,psnr,ssim "
      "--a \"--precision f32\" --b \"--precision bf16\" --names f32,bf16\n"
      "  daguerre eval compare --prompts DrawBench.csv --metrics hps:models/hps --steps 20 --a \"--model "
      "models/sdxl\" "
      "--b \"--model models/sd3\" --names sdxl,sd3 --votes ballot\n"
      "  daguerre eval votes votes.csv --key ballot.key.json");
  app->allow_extras();
  const auto ask = std::make_shared<ModelComparison>();
  add_generation_options(*app, ask->generation);
  const std::string heading = "What to compare";
  app->add_option("--a", ask->a, "Options of the first side")
      ->type_name("\"OPTIONS\"")
      ->required()
      ->group(heading);
  app->add_option("--b", ask->b, "Options of the second side")
      ->type_name("\"OPTIONS\"")
      ->required()
      ->group(heading);
  app->add_option("--names", ask->names, "What to call them")
      ->delimiter(',')
      ->expected(2)
      ->check(utf8_text())
      ->type_name("A,B")
      ->capture_default_str()
      ->group(heading);
  app->add_option("--metrics", ask->generation.measures,
                  "clip:PATH and hps:PATH (scores, in pairs); psnr, ssim, lpips-alex:PATH, lpips-vgg:PATH "
                  "(between the "
                  "two); against --reference those of eval model")
      ->delimiter(',')
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->required()
      ->type_name("METRIC,...")
      ->group(heading);
  auto* votes =
      app->add_option("--votes", ask->votes,
                      "Write the pairs for people to judge who do not know which is whose: 0001_left.png, "
                      "0001_right.png ..., manifest.json; FOLDER.key.json, which tells, lies beside it")
          ->check(file_name())
          ->type_name("FOLDER")
          ->group(heading);
  app->add_option("--questions", ask->questions, "That people are asked, by default DrawBench's")
      ->needs(votes)
      ->check(utf8_text())
      ->delimiter(',')
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->type_name("NAME,...")
      ->capture_default_str()
      ->group(heading);
  add_number(*app, "--votes-seed", ask->votes_seed, {0, 4294967295u}, "Of which side is left")
      ->needs(votes)
      ->type_name("N")
      ->capture_default_str()
      ->group(heading);
  app->add_flag("--quiet", ask->quiet, "Only warnings and errors on stderr")->group(groups::besides);
  app->callback([app, ask, &group] { carry_out(*ask, app->remaining(), group); });
}

}  // namespace daguerre::cli

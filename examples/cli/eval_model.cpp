#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <daguerre/evaluation/process_group.hpp>
#include <daguerre/samplers/registry.hpp>

#include "commands.hpp"
#include "eval_common.hpp"
#include "eval_generation.hpp"
#include "files.hpp"
#include "interrupt.hpp"
#include "numbers.hpp"
#include "progress.hpp"

namespace daguerre::cli {
namespace {

struct ModelEvaluation {
  GenerationOrder generation;
  Order order;
  std::string keep;
  std::vector<std::string> samplers;
  std::vector<int> steps;
};

/// What one sampler came to in so many steps.
struct GridCell {
  std::string sampler;
  int steps = 0;
  evaluation::Report report;
};

std::string shown(const evaluation::Figure& figure) {
  char text[128];
  if (figure.low && figure.high)
    std::snprintf(text, sizeof text, "%.3f (%.3f to %.3f)", figure.value, *figure.low, *figure.high);
  else
    std::snprintf(text, sizeof text, "%.3f", figure.value);
  return text;
}

/// A table of steps and samplers for each figure, as Markdown has them.
std::string grid_text(const std::vector<GridCell>& cells, const ModelEvaluation& ask) {
  std::string text;
  const auto& figures = cells.front().report.figures;
  for (std::size_t n = 0; n < figures.size(); ++n) {
    text += figures[n].name + (figures[n].category.empty() ? "" : ", " + figures[n].category) + ": " +
            figures[n].definition + "\n\n| steps |";
    for (const auto& sampler : ask.samplers) text += " " + sampler + " |";
    text += "\n|---|";
    for (std::size_t i = 0; i < ask.samplers.size(); ++i) text += "---|";
    text += "\n";
    for (std::size_t row = 0; row < ask.steps.size(); ++row) {
      text += "| " + std::to_string(ask.steps[row]) + " |";
      for (std::size_t column = 0; column < ask.samplers.size(); ++column)
        text += " " + shown(cells[row * ask.samplers.size() + column].report.figures[n]) + " |";
      text += "\n";
    }
    if (n + 1 < figures.size()) text += "\n";
  }
  return text;
}

std::string grid_json(const std::vector<GridCell>& cells) {
  std::string text = "[";
  for (const auto& cell : cells)
    text += std::string(text.size() > 1 ? ",\n" : "\n") + "{\"sampler\": \"" + cell.sampler +
            "\", \"steps\": " + std::to_string(cell.steps) + ", \"report\": " + cell.report.json() + "}";
  return text + "\n]\n";
}

void carry_out(ModelEvaluation ask, evaluation::ProcessGroup& group) {
  const Interrupt interrupt;
  const bool speaks = group.rank() == 0;
  Progress progress(ask.order.quiet || !speaks);
  const auto items = items_of(ask.generation);
  if (!ask.generation.json.empty() && speaks) check_writable("--json", ask.generation.json);
  const bool grid = ask.samplers.size() > 1 || ask.steps.size() > 1;
  if (grid && !ask.keep.empty())
    throw CLI::ValidationError("--keep", "pictures of several samplers or steps are not kept");
  if (ask.steps.size() == 1) ask.order.request.sampling.steps = ask.steps.front();
  if (ask.samplers.size() == 1) ask.order.request.sampling.sampler = ask.samplers.front();

  const auto pipeline = load_for_evaluation(ask.order, group, progress, interrupt);
  const auto measures =
      load_measures(ask.generation, ask.order,
                    job_of(ask.generation, group, progress, interrupt, "reference"), progress, interrupt);
  evaluation::ModelEvaluationOptions options;
  options.keep = ask.keep;
  const auto evaluate = [&](const std::string& what) {
    options.job = job_of(ask.generation, group, progress, interrupt, what);
    return evaluation::evaluate_model(sample_of(ask.generation, ask.order, pipeline, items), measures,
                                      options);
  };
  if (!grid) {
    const auto report = evaluate("pictures");
    progress.clear();
    if (!speaks) return;
    show_report(report, progress, ask.generation.json);
    return;
  }
  if (ask.samplers.empty()) ask.samplers = {ask.order.request.sampling.sampler.value_or("own")};
  if (ask.steps.empty()) ask.steps = {*ask.order.request.sampling.steps};
  std::vector<GridCell> cells;
  for (const int steps : ask.steps)
    for (const auto& sampler : ask.samplers) {
      ask.order.request.sampling.steps = steps;
      if (sampler != "own") ask.order.request.sampling.sampler = sampler;
      cells.push_back({sampler, steps, evaluate(sampler + ", " + std::to_string(steps) + " steps")});
      progress.note(sampler + ", " + std::to_string(steps) +
                    " steps: " + shown(cells.back().report.figures.front()));
    }
  progress.clear();
  if (!speaks) return;
  evaluation::Report all;
  for (const auto& cell : cells) all.append(cell.report);
  show_warnings(all, progress);
  std::fputs(grid_text(cells, ask).c_str(), stdout);
  write_json(ask.generation.json, grid_json(cells));
}

}  // namespace

void add_eval_model(CLI::App& parent, evaluation::ProcessGroup& group) {
  auto* app =
      parent.add_subcommand("model", "Make a model's pictures of a suite of prompts, and measure them");
  app->footer(
      "Examples:\n"
      "  daguerre eval model models/sdxl --prompts PartiPrompts.tsv --metrics "
      "clip:models/clip,hps:models/hps\n"
      "  daguerre eval model models/sdxl --prompts captions.txt --count 5000 --metrics "
      "fid:pytorch-fid:inception."
      "safetensors --reference coco.npz --work work\n"
      "  daguerre eval model examples/models/emoji --prompts names.txt --reference pictures --metrics "
      "latent-fid "
      "--samplers ddpm,ddim,dpm++2m --steps 5,10,20\n"
      "Pictures are measured as they are made and forgotten, unless --keep is given. Figures go to stdout.");
  const auto ask = std::make_shared<ModelEvaluation>();
  add_model_options(*app, ask->order);
  app->add_option("path", ask->order.model, "The same as --model")->type_name("PATH")->check(file_name());
  app->remove_option(app->get_option("--steps"));
  app->remove_option(app->get_option("--sampler"));
  app->add_option("--steps", ask->steps,
                  "More steps take longer and are nearer to the model's ideal; several make a table")
      ->check(CLI::Range(1, 100000))
      ->delimiter(',')
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->type_name("N,...")
      ->group(groups::how);
  app->add_option("--sampler,--samplers", ask->samplers,
                  "By default what the model's folder says; several make a table")
      ->check(CLI::IsMember(samplers::SamplerRegistry::standard().names()))
      ->delimiter(',')
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->type_name("NAME,...")
      ->group(groups::how);
  add_generation_options(*app, ask->generation);
  app->add_option(
         "--metrics", ask->generation.measures,
         "fid:NETWORK:PATH, kid:..., pr:..., is:..., cmmd:PATH, clip:PATH, hps:PATH; latent-fid is the "
         "Frechet "
         "distance of the model's own autoencoder; NETWORK is pytorch-fid, torch-fidelity, clip or vae")
      ->delimiter(',')
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->required()
      ->type_name("METRIC,...")
      ->group("What to evaluate");
  app->add_option("--keep", ask->keep, "Keep the pictures in this folder, as 000000.png ...")
      ->check(file_name())
      ->check(utf8_text())
      ->type_name("FOLDER")
      ->group("What to evaluate");
  app->add_flag("--quiet", ask->order.quiet, "Only warnings and errors on stderr")->group(groups::besides);
  app->callback([ask, &group] { carry_out(*ask, group); });
}

}  // namespace daguerre::cli

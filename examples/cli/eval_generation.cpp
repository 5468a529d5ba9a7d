#include "eval_generation.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include <CLI/CLI.hpp>

#include <daguerre/core/error.hpp>
#include <daguerre/evaluation/process_group.hpp>

#include "eval_common.hpp"
#include "interrupt.hpp"
#include "numbers.hpp"
#include "progress.hpp"
#include "sample_order.hpp"

namespace daguerre::cli {
namespace {

const std::string evaluation_group = "What to evaluate";

}  // namespace

void add_generation_options(CLI::App& app, GenerationOrder& order) {
  auto* prompts =
      app.add_option(
             "--prompts", order.prompts,
             "A suite of prompts: lines, DrawBench's CSV, PartiPrompts' TSV, HPSv2's JSON (a file, or a "
             "folder of its four styles), or an object with \"prompt\" on each line (.jsonl)")
          ->check(file_name())
          ->type_name("PATH")
          ->group(evaluation_group);
  app.add_option("--prompts-format", order.format, "Where the file's name does not tell")
      ->check(CLI::IsMember({"auto", "lines", "csv", "tsv", "hps", "jsonl"}))
      ->needs(prompts)
      ->type_name("NAME")
      ->capture_default_str()
      ->group(evaluation_group);
  app.add_option(
         "--category", order.category,
         "The column that holds the category, by default \"Category\" (PartiPrompts has Challenge, too)")
      ->needs(prompts)
      ->type_name("COLUMN")
      ->group(evaluation_group);
  app.add_flag("--unconditional", order.unconditional, "The empty prompt instead; needs --count")
      ->excludes(prompts)
      ->group(evaluation_group);
  app.add_flag("--draw-prompts", order.drawn,
               "Draw each picture's prompt from all of them, by --seed, and do not take them in turn")
      ->group(evaluation_group);
  add_number(app, "--count", order.count, {.least = 1, .most = 100'000'000},
             "Pictures; by default one for each prompt. Prompts are taken in turn")
      ->type_name("N")
      ->group(evaluation_group);
  add_number(app, "--seed", order.seed, {0, std::numeric_limits<std::uint64_t>::max() / 2},
             "Of the first picture; picture i has seed + i")
      ->type_name("N")
      ->capture_default_str()
      ->group(evaluation_group);
  app.add_option("--reference", order.reference,
                 "What distributions are compared with: a folder of pictures, shards, or statistics of their "
                 "features (eval stats, .npz)")
      ->check(file_name())
      ->type_name("PATH")
      ->group(evaluation_group);
  app.add_option("--work", order.work,
                 "A folder in which what is done is kept: the same command goes on there after it was killed")
      ->check(file_name())
      ->type_name("FOLDER")
      ->group(evaluation_group);
  add_number(app, "--chunk", order.chunk, {1, 4096},
             "Pictures that are made and measured together: what is lost at most when the job is killed")
      ->type_name("N")
      ->capture_default_str()
      ->group(evaluation_group);
  app.add_option("--json", order.json, "Write the figures as JSON, too")
      ->check(file_name())
      ->type_name("FILE")
      ->group(evaluation_group);
}

void add_model_options(CLI::App& app, Order& order) {
  add_model_option(app, order);
  add_prompt_texts(app, order);
  app.remove_option(app.get_option("--prompt"));  // the suite's
  for (const auto* text : {"--negative", "--negative-2", "--negative-3", "--prompt-2", "--prompt-3"})
    app.get_option(text)->check(utf8_text());
  add_size_options(app, order, "Of the pictures, in pixels; by default what the model was trained at");
  add_sampling_options(app, order);
  app.add_option("--spacing", order.spacing,
                 "Of the timesteps, in the place of what the model's scheduler says")
      ->check(CLI::IsMember({"trailing", "linspace", "leading"}))
      ->type_name("NAME")
      ->group(groups::how);
  add_number(app, "--clip-skip", order.request.clip_skip, {.least = 0},
             "Layers left out at the end of the text encoder")
      ->type_name("N")
      ->default_str("0")
      ->group(groups::how);
  add_language_options(app, order);
  add_lora_options(app, order);
  add_source_options(app, order);
  app.add_option("--vae", order.comfort.vae, "Another autoencoder in the place of the model's")
      ->check(file_name())
      ->type_name("PATH")
      ->group(groups::sources);
  add_machine_options(app, order);
}

std::vector<evaluation::SampleItem> items_of(const GenerationOrder& order) {
  evaluation::PromptSuite suite;
  if (order.unconditional) {
    if (order.count == 0) throw CLI::RequiredError("--count");
    suite.prompts.emplace_back();
  } else {
    if (order.prompts.empty()) throw CLI::RequiredError("--prompts");
    evaluation::SuiteOptions options;
    options.format = evaluation::suite_format_called(order.format);
    options.category = order.category;
    suite = evaluation::PromptSuite::load(order.prompts, options);
  }
  const auto count = order.count > 0 ? order.count : static_cast<std::int64_t>(suite.prompts.size());
  return order.drawn ? evaluation::drawn_sample_items(suite.prompts, count, order.seed)
                     : evaluation::sample_items(suite.prompts, count, order.seed);
}

evaluation::JobOptions job_of(const GenerationOrder& order, evaluation::ProcessGroup& group,
                              Progress& progress, const Interrupt& interrupt, std::string what) {
  evaluation::JobOptions job;
  job.work = order.work;
  job.group = &group;
  job.stop = interrupt.token();
  job.on_chunk = chunk_progress(progress, std::move(what));
  return job;
}

evaluation::PictureMeasures load_measures(const GenerationOrder& order, const Order& model,
                                          const evaluation::JobOptions& job, Progress& progress,
                                          const Interrupt& interrupt) {
  // A comma may also part the two files of LPIPS.
  std::vector<std::string> measures;
  for (const auto& text : order.measures) {
    const bool continues = !measures.empty() && measures.back().starts_with("lpips-") &&
                           text.find(':') == text.npos && text.ends_with(".safetensors");
    if (continues)
      measures.back() += "," + text;
    else
      measures.push_back(text);
  }
  for (auto& measure : measures) {
    if (measure == "latent-fid") measure = "fid:vae:" + model.model;
    if (measure.starts_with("latent-fid:"))
      measure = "fid:vae:" + measure.substr(std::string("latent-fid:").size());
  }
  evaluation::MeasureOptions options;
  const bool speaks = job.group == nullptr || job.group->rank() == 0;
  options.network = network_options(model.load.engine, model.load.threads, model.tokenizer,
                                    speaks ? progress.warnings() : LogSink(), interrupt);
  options.reference = order.reference;
  options.job = job;
  return evaluation::PictureMeasures::load(measures, options);
}

Pipeline load_for_evaluation(Order& order, evaluation::ProcessGroup& group, Progress& progress,
                             const Interrupt& interrupt) {
  require_model(order);
  if (order.load.threads == 0) order.load.threads = group.threads();
  settle_machine(order);
  if (order.load.memory_limit == 0) order.load.memory_limit = memory_share(group);
  if (group.rank() == 0) order.load.log = progress.warnings();
  settle_loras(order);
  progress.stage("loading " + model_name(order));
  auto pipeline = load(order, interrupt);
  if (!order.request.sampling.steps)
    order.request.sampling.steps = std::min(order.usual_steps, pipeline.info().steps);
  order.request.stop = interrupt.token();
  return pipeline;
}

evaluation::SampleJob sample_of(const GenerationOrder& generation, const Order& order,
                                const Pipeline& pipeline, const std::vector<evaluation::SampleItem>& items) {
  return {pipeline,
          order.request,
          items,
          {.chunk = generation.chunk,
           .files = files_of(order),
           .more = order.spacing.empty() ? "" : "spacing " + order.spacing}};
}

}  // namespace daguerre::cli

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <daguerre/evaluation/chunk_folder.hpp>
#include <daguerre/evaluation/process_group.hpp>
#include <daguerre/evaluation/prompt_suite.hpp>
#include <daguerre/evaluation/sample_job.hpp>

#include "commands.hpp"
#include "interrupt.hpp"
#include "numbers.hpp"
#include "order.hpp"
#include "progress.hpp"
#include "sample_order.hpp"
#include "system.hpp"
#include "text.hpp"

namespace daguerre::cli {
namespace {

using evaluation::ProcessGroup;
using evaluation::SampleLayout;

/// What `sample` is asked for, beside what an order holds.
struct SampleAsk {
  Order order;
  std::string prompts, prompts_format = "auto", category;
  std::vector<std::string> texts;
  std::optional<Index> count;
  Index chunk = 16;
  bool loose = false;
};

void add_sample_options(CLI::App& app, SampleAsk& ask) {
  auto& order = ask.order;
  add_model_option(app, order);
  auto* file = app.add_option("--prompts", ask.prompts,
                              "A file of prompts: one on each line, or a suite in its published form "
                              "(DrawBench's CSV, PartiPrompts' TSV, HPSv2's folder, JSON lines)")
                   ->check(file_name())
                   ->type_name("FILE")
                   ->group(groups::what);
  app.add_option("--prompts-format", ask.prompts_format,
                 "How the file is to be read, where its name misleads")
      ->check(CLI::IsMember({"auto", "lines", "csv", "tsv", "hps", "jsonl"}))
      ->needs(file)
      ->type_name("NAME")
      ->capture_default_str()
      ->group(groups::what);
  app.add_option("--category", ask.category, "The column or key that holds the category of prompts")
      ->needs(file)
      ->type_name("NAME")
      ->group(groups::what);
  app.add_option("--prompt", ask.texts, "A prompt; may be given several times")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->expected(1)
      ->check(utf8_text())
      ->excludes(file)
      ->type_name("TEXT")
      ->group(groups::what);
  app.add_option("--classes", order.classes,
                 "For models of classes: ids, names from the model's id2label, or \"all\"")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->type_name("N|NAME ...")
      ->group(groups::what);
  app.add_option("--negative", order.request.negative_prompt, "What no picture should show")
      ->check(utf8_text())
      ->type_name("TEXT")
      ->group(groups::what);
  add_number(app, "--count", ask.count, {.least = 1, .most = 10'000'000},
             "Pictures to make, which take prompts or classes in turn; by default one of each")
      ->type_name("N")
      ->group(groups::what);
  add_number(app, "--seed", order.seed, {0, std::numeric_limits<std::uint64_t>::max()},
             "Of the first picture; picture i has seed + i, from 0 on")
      ->type_name("N")
      ->default_str("0")
      ->group(groups::what);
  app.add_option("--out", order.out,
                 "Where to keep them. A job that was killed goes on there; the folder of another job is "
                 "refused")
      ->check(file_name())
      ->type_name("FOLDER")
      ->required()
      ->group(groups::what);
  app.add_flag("--loose", ask.loose,
               "PNG files in the folder, not shards (tar files as WebDataset reads them)")
      ->group(groups::what);
  add_number(app, "--chunk", ask.chunk, {.least = 1, .most = 4096},
             "Pictures that a process makes at a time, and in a shard")
      ->type_name("N")
      ->capture_default_str()
      ->group(groups::what);
  add_size_options(app, order, "In pixels, a multiple of 8; by default what the model was trained at");
  add_sampling_options(app, order);
  add_encoder_options(app, order);
  add_language_options(app, order);
  add_lora_options(app, order);
  add_second_pass_options(app, order);
  add_source_options(app, order);
  add_vae_option(app, order);
  add_machine_options(app, order);
  app.get_option("--threads")->description("0: this process's share of its machine's processors");
  app.add_flag("--quiet", order.quiet, "Only warnings and errors on stderr")->group(groups::besides);
}

std::vector<evaluation::SampleItem> items_of(const SampleAsk& ask, const Pipeline& pipeline) {
  const auto& order = ask.order;
  const auto& info = pipeline.info();
  const std::uint64_t seed = order.seed.value_or(0);
  if (info.takes_prompt) {
    if (!order.classes.empty()) throw ArgumentError("--classes", "the model is asked by prompts");
    evaluation::PromptSuite suite;
    if (!ask.prompts.empty())
      suite = evaluation::PromptSuite::load(
          ask.prompts,
          {.format = evaluation::suite_format_called(ask.prompts_format), .category = ask.category});
    for (const auto& text : ask.texts) suite.prompts.push_back({.text = text, .category = {}});
    if (suite.prompts.empty()) throw ArgumentError("sample", "no prompts: give --prompts or --prompt");
    return evaluation::sample_items(suite.prompts,
                                    ask.count.value_or(static_cast<Index>(suite.prompts.size())), seed);
  }
  if (!ask.prompts.empty() || !ask.texts.empty())
    throw ArgumentError("sample", "the model is not asked by prompts");
  if (!info.takes_class) {
    if (!order.classes.empty()) throw ArgumentError("--classes", "the model knows no classes");
    const std::vector<evaluation::SuitePrompt> nothing(1);
    return evaluation::sample_items(nothing, ask.count.value_or(1), seed);
  }
  std::vector<std::int32_t> classes;
  if (order.classes.size() == 1 && order.classes.front() == "all")
    for (const auto& [id, name] : info.class_names) classes.push_back(id);
  else
    for (const auto& text : order.classes) classes.push_back(class_called(text, pipeline));
  if (classes.empty()) throw ArgumentError("--classes", "expected ids or names of classes, found none");
  return evaluation::sample_items(classes, ask.count.value_or(static_cast<Index>(classes.size())), seed);
}

void run_sample(SampleAsk ask, ProcessGroup& group) {
  const auto start = std::chrono::steady_clock::now();
  const Interrupt interrupt;
  auto& order = ask.order;
  const bool speaks = group.rank() == 0;
  Progress progress(order.quiet || !speaks);
  if (!order.seed) order.seed = 0;  // not drawn: the same command goes on with the same job
  settle_machine(order);
  if (order.load.threads == 0) order.load.threads = group.threads();
  if (order.load.memory_limit == 0) order.load.memory_limit = memory_share(group);
  settle_comfort(order);
  if (speaks) order.load.log = progress.warnings();
  settle_loras(order);
  progress.stage("loading " + model_name(order));
  const auto pipeline = load(order, interrupt);
  progress.loaded();
  auto& request = order.request;
  if (!request.sampling.steps) request.sampling.steps = std::min(order.usual_steps, pipeline.info().steps);
  request.stop = interrupt.token();
  request.on_step = [&](const Step&) { return !interrupt.requested(); };
  const evaluation::SampleJob job(pipeline, request, items_of(ask, pipeline),
                                  {.chunk = ask.chunk, .files = files_of(order)});
  const evaluation::ChunkFolder folder(order.out, job.description(), group);
  introduce(order, pipeline, progress);
  if (group.size() > 1)
    progress.note(std::to_string(group.size()) + " processes, " + std::to_string(group.size_here()) + " of " +
                  (group.size_here() == group.size() ? "them" : "rank 0's") + " here");
  const auto layout = ask.loose ? SampleLayout::loose : SampleLayout::shards;
  const auto done_before = speaks ? evaluation::sampled(job, folder, layout) : 0;
  if (done_before > 0)
    progress.note(grouped(done_before) + " of " + grouped(job.size()) + " pictures are there already");
  const auto count = [&](Index done) {
    return grouped(done) + " of " + grouped(job.size()) + " pictures, " + duration(seconds_since(start));
  };
  // On a terminal what is done shows every second; in a log every tenth part does.
  auto looked = start;
  Index tenths = done_before * 10 / job.size();
  evaluation::sample_to_folder(job, group, folder, layout, [&] {
    if (!speaks || seconds_since(looked) < 1.0) return;
    looked = std::chrono::steady_clock::now();
    const Index done = evaluation::sampled(job, folder, layout);
    if (stderr_is_terminal())
      progress.stage(count(done));
    else if (done * 10 / job.size() > tenths)
      progress.note(count(done));
    tenths = done * 10 / job.size();
  });
  progress.note(count(job.size()));
  if (speaks) std::printf("%s\n", (folder.folder() / "index.jsonl").string().c_str());
}

}  // namespace

void add_sample(CLI::App& parent, evaluation::ProcessGroup& group) {
  auto* app = parent.add_subcommand(
      "sample", "Make many pictures, by many processes and machines where mpirun or srun starts them");
  app->footer(
      "Examples:\n"
      "  daguerre sample --model models/stable-diffusion-v1-5 --prompts DrawBench.csv --out drawbench\n"
      "  mpirun -np 4 daguerre sample --model models/DiT-XL-2-256 --classes all --count 50000 --steps 50 "
      "--out "
      "fid\n"
      "  srun --mpi=pmix --kill-on-bad-exit=1 daguerre sample ... --out /shared/pictures\n"
      "The same command goes on with what was killed, with any number of processes; the files are the same "
      "to "
      "the byte. The name of the index goes to stdout, everything else to stderr.");
  const auto ask = std::make_shared<SampleAsk>();
  add_sample_options(*app, *ask);
  app->callback([ask, &group] {
    require_model(ask->order);
    run_sample(*ask, group);
  });
}

}  // namespace daguerre::cli

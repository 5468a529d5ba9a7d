#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <numeric>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>

#include <daguerre/config/config.hpp>
#include <daguerre/daguerre.hpp>
#include <daguerre/ops/engine.hpp>

#include "bench_report.hpp"
#include "commands.hpp"
#include "files.hpp"
#include "interrupt.hpp"
#include "numbers.hpp"
#include "order.hpp"
#include "progress.hpp"
#include "system.hpp"

namespace daguerre::cli {
namespace {

using Clock = std::chrono::steady_clock;

struct BenchRequest {
  Order order;
  int runs = 3;
  bool profile = false;
  std::string json;
};

/// Something to show, where the kind of model asks for it.
void choose_subject(const Order& order, const Pipeline& pipeline, Request& request) {
  for (const auto& text : order.classes) request.class_labels.push_back(class_called(text, pipeline));
  const auto& info = pipeline.info();
  if (info.takes_prompt) request.prompt = "a lighthouse at dawn";
  if (info.takes_class && request.class_labels.empty()) request.class_labels = {0};
  if (info.needs_image) {
    const Index width = request.size.width.value_or(info.width);
    const Index height = request.size.height.value_or(info.height);
    request.input.image = Image(width, height, 3);
    if (info.needs_mask) {
      request.input.mask = Image(width, height, 1);
      std::ranges::fill(request.input.mask.pixels(), std::uint8_t{255});
    }
  }
}

/// Loads the model, makes one picture; nothing of it is left but the times in `report`.
std::shared_ptr<ops::Profile> run(const Order& order, const Interrupt& interrupt, BenchReport& report) {
  const auto start = Clock::now();
  const auto pipeline = load(order, interrupt);
  report.load.push_back(seconds_since(start));

  auto request = order.request;
  choose_subject(order, pipeline, request);
  request.profile = std::make_shared<ops::Profile>();
  request.stop = interrupt.token();
  std::optional<double> first;
  request.on_step = [&](const Step& step) {
    if (step.index == 0) first = seconds_since(start);
    return !interrupt.requested();
  };
  const auto whole = Clock::now();
  const auto made = pipeline.generate(request);
  report.whole.push_back(seconds_since(whole));

  const auto steps = request.profile->spans(ops::Stage::step);
  if (first) report.load_to_first_step.push_back(*first - steps.front());
  report.first_step.push_back(steps.front());
  // The first one also finds its memory and makes its primitives; it counts only where there is no other.
  report.step.insert(report.step.end(), steps.begin() + (steps.size() > 1 ? 1 : 0), steps.end());
  const auto add_sum = [&](ops::Stage stage, std::vector<double>& sums) {
    const auto spans = request.profile->spans(stage);
    if (!spans.empty()) sums.push_back(std::accumulate(spans.begin(), spans.end(), 0.0));
  };
  add_sum(ops::Stage::text_encoder, report.text_encoder);
  add_sum(ops::Stage::decoder, report.decoder);

  report.engine = pipeline.info().engine;
  report.precision = short_name(pipeline.info().precision);
  report.weights = kept_weights(pipeline.info());
  report.threads = pipeline.info().threads;
  report.height = made.images.front().height();
  report.width = made.images.front().width();
  return request.profile;
}

void write_text(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  if (!(file << text).flush()) throw FileError("--json", path + ": cannot be written");
}

void carry_out(BenchRequest request) {
  const Interrupt interrupt;
  auto& order = request.order;
  Progress progress(order.quiet);
  settle_machine(order);
  settle_loras(order);
  if (!request.json.empty()) check_writable("--json", request.json);

  BenchReport report;
  std::vector<std::shared_ptr<ops::Profile>> profiles;
  progress.stage("warming up");
  {
    BenchReport warm_up;
    order.load.log = progress.warnings();
    run(order, interrupt, warm_up);
    order.load.log = {};  // once is enough
    // As a program that makes one picture: what freed models leave in the heap is not counted.
    report.peak_memory = peak_memory();
  }
  for (int i = 1; i <= request.runs; ++i) {
    progress.stage("run " + std::to_string(i) + " of " + std::to_string(request.runs));
    profiles.push_back(run(order, interrupt, report));
  }

  report.version = version();
  report.model = model_name(order);
  report.processor = processor_name();
  report.instruction_set = ops::instruction_set();
  report.native_bfloat16 = ops::has_native_bfloat16();
  report.engine_version = ops::engine_version(report.engine);
  report.runs = request.runs;
  report.steps = order.request.sampling.steps.value_or(0);
  for (const auto stage : {ops::Stage::text_encoder, ops::Stage::step, ops::Stage::decoder})
    if (auto profile = gather(profiles, stage); profile.seconds > 0)
      report.profiles.push_back(std::move(profile));

  progress.clear();
  std::fputs(to_text(report, request.profile).c_str(), stdout);
  if (!request.json.empty()) write_text(request.json, to_json(report));
}

}  // namespace

void add_bench(CLI::App& parent) {
  auto* app = parent.add_subcommand("bench", "Measure how long a model takes on this machine");
  app->footer(
      "Examples:\n"
      "  daguerre bench --model models/stable-diffusion-v1-5 --width 512 --height 512\n"
      "  daguerre bench --model models/stable-diffusion-v1-5 --precision f32 --threads 2 --profile --json "
      "f32.json\n"
      "After a warm-up, each run loads the model anew and makes one picture. The first step of a run is "
      "listed by\n"
      "itself. Peak memory is that after the warm-up. docs/performance.md tells more.");
  const auto request = std::make_shared<BenchRequest>();
  auto& order = request->order;
  order.request.sampling.seed = 42;
  add_model_option(*app, order);
  app->add_option("--class", order.classes, "For models of classes: an id, or a name; 0 for DiT by default")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->expected(1)
      ->type_name("N|NAME")
      ->group(groups::what);
  add_size_options(*app, order, "In pixels, a multiple of 8; by default what the model was trained at");
  add_step_options(*app, order, 4);
  add_number(*app, "--runs", request->runs, {1, 1000}, "How often to measure, after the warm-up")
      ->type_name("N")
      ->capture_default_str()
      ->group(groups::how);
  add_lora_options(*app, order);
  add_source_options(*app, order);
  add_machine_options(*app, order);
  app->add_flag("--profile", request->profile, "Tell what kind of operation the time goes to")
      ->group(groups::besides);
  app->add_option("--json", request->json, "Write everything, the profile too, for programs to read")
      ->check(file_name())
      ->type_name("FILE")
      ->group(groups::besides);
  app->add_flag("--quiet", order.quiet, "Only warnings and errors on stderr")->group(groups::besides);
  app->callback([request] {
    require_model(request->order);
    carry_out(*request);
  });
}

}  // namespace daguerre::cli

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <daguerre/pipeline/cascade.hpp>

#include "files.hpp"
#include "interrupt.hpp"
#include "numbers.hpp"
#include "order.hpp"
#include "progress.hpp"

namespace daguerre::cli {
namespace {

namespace fs = std::filesystem;

const std::string cascade_heading = "Several models, one behind the other";

/// "2:steps=20,noise_level=100" put into the second entry of `stages`.
void read_stage_option(const std::string& text, std::vector<StageOptions>& stages) {
  const auto refuse = [&](const std::string& why) {
    throw ArgumentError("--stage", "\"" + text + "\": " + why);
  };
  const auto colon = text.find(':');
  std::size_t number = 0;
  for (const char c : text.substr(0, colon))
    number = c >= '0' && c <= '9' && number < 1000 ? number * 10 + static_cast<std::size_t>(c - '0') : 10'000;
  if (colon == text.npos || colon == 0 || number < 1 || number > 16)
    refuse("expected the stage's number, from 1 on, a colon and its options: 2:steps=20,noise_level=100");
  if (stages.size() < number) stages.resize(number);
  for (std::size_t begin = colon + 1; begin <= text.size();) {
    const auto end = std::min(text.find(',', begin), text.size());
    const auto option = text.substr(begin, end - begin);
    const auto equals = option.find('=');
    if (equals == option.npos) refuse("\"" + option + "\" is no option and its value, as in steps=20");
    stages[number - 1].set(option.substr(0, equals), option.substr(equals + 1));
    begin = end + 1;
  }
}

/// What the command line has and a cascade does not read.
void refuse_beside_cascade(const Order& order) {
  const auto refuse = [](bool given, const char* what) {
    if (given) throw ArgumentError("--cascade", std::string("does not go with ") + what);
  };
  refuse(!order.model.empty(), "--model: its stages are its models");
  refuse(!order.denoiser.empty(), "--denoiser: its stages are its models");
  refuse(!order.refiner.empty(), "--refiner; a stage may do the same");
  refuse(!order.comfort.vae.empty(), "--vae; a stage's \"parts\" may name another one");
  refuse(!order.comfort.preview_vae.empty(), "--preview-vae");
  refuse(!order.control_nets.empty(), "ControlNets and T2I-Adapters");
  refuse(!order.ip_adapters.empty(), "--ip-adapter");
  refuse(order.judging.best_of.has_value(), "--best-of");
  refuse(order.comfort.upscale.has_value(), "--upscale; a stage may do the same");
}

/// Where the pictures of a stage that is not the last are kept: FILE_stage1.png.
fs::path path_of_stage(const fs::path& path, std::size_t stage) {
  auto name = path.stem();
  name += "_stage" + std::to_string(stage + 1);
  name += path.extension();
  return path.parent_path() / name;
}

std::vector<fs::path> paths_for(const fs::path& path, int count) {
  std::vector<fs::path> paths;
  for (int i = 1; i <= count; ++i) paths.push_back(count == 1 ? path : numbered(path, i));
  return paths;
}

void save(const Result& made, const std::vector<fs::path>& paths) {
  for (std::size_t i = 0; i < paths.size(); ++i) {
    made.save_png(paths[i], i);
    std::printf("%s\n", paths[i].string().c_str());
  }
}

Cascade load_cascade(const Order& order, const Interrupt& interrupt) {
  CascadeOptions options;
  options.load = order.load;
  options.load.stop = interrupt.token();
  options.load.source = source_options(order);
  if (order.cascade.one_at_a_time) options.memory = CascadeMemory::one_at_a_time;
  const auto& paths = order.cascade.paths;
  if (paths.size() == 1) return Cascade::load(fs::path(paths.front()), options);
  return Cascade::load(CascadeDescription::of({paths.begin(), paths.end()}), options);
}

}  // namespace

void add_cascade_options(CLI::App& app, Order& order) {
  auto& cascade = order.cascade;
  auto* option =
      app.add_option("--cascade", cascade.paths,
                     "In the place of --model: a folder with a cascade.json, or that file. Given more than "
                     "once: the stages' models themselves, in their order")
          ->check(file_name())
          ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
          ->type_name("PATH")
          ->group(cascade_heading);
  app.add_option("--stage", cascade.stages,
                 "Of the stage of that number, over what cascade.json says: steps, guidance_scale, sampler, "
                 "noise_level, strength, scale, width, height ...; may be given once for each")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->needs(option)
      ->type_name("N:OPTION=VALUE,...")
      ->group(cascade_heading);
  app.add_flag("--one-stage-at-a-time", cascade.one_at_a_time,
               "Load each stage when its turn comes and drop it behind it: less memory")
      ->needs(option)
      ->group(cascade_heading);
  app.add_flag("--save-stages", cascade.save_stages,
               "Write what the stages but the last make, too: FILE_stage1.png ...")
      ->needs(option)
      ->group(cascade_heading);
}

void carry_out_cascade(Order order) {
  refuse_beside_cascade(order);
  const Interrupt interrupt;
  Progress progress(order.quiet);
  settle(order, progress);
  CascadeRequest request;
  request.stages = order.cascade.repeated;
  for (const auto& text : order.cascade.stages) read_stage_option(text, request.stages);
  order.request.sampling.seed = order.seed ? *order.seed : std::random_device{}();
  rewrite_prompt(order, progress, interrupt);
  request.first = order.request;
  request.first.stop = interrupt.token();

  progress.stage("loading " + order.cascade.paths.front());
  const auto cascade = load_cascade(order, interrupt);
  progress.loaded();
  std::optional<std::size_t> shown;
  request.on_step = [&](const CascadeStep& step) {
    if (!shown) {
      for (const auto& note : order.comfort.notes) progress.note(order.comfort.from_png + ": " + note);
      if (!order.seed) progress.note("seed " + std::to_string(*request.first.sampling.seed));
    }
    if (shown != step.stage)
      progress.note("stage " + std::to_string(step.stage + 1) + " of " + std::to_string(step.stages) + ": " +
                    std::string(step.name));
    shown = step.stage;
    Step overall = step.step;
    overall.index = step.index;
    overall.total = step.total;
    progress.step(overall);
    const bool last = step.index + 1 == step.total;
    if (!order.preview.empty() && !last && step.step.decode && (step.index + 1) % order.preview_every == 0)
      step.step.preview().save_png(order.preview);
    if (last) progress.decoding();
    return !interrupt.requested();
  };
  const int count = *order.request.output.count;
  if (order.cascade.save_stages)
    request.on_stage = [&](std::size_t stage, const Result& made) {
      progress.clear();
      auto paths = paths_for(path_of_stage(order.out, stage), count);
      for (std::size_t i = 0; i < paths.size(); ++i) made.images.at(i).save_png(paths[i]);
    };
  const auto made = cascade.generate(request);
  progress.finished();
  if (!order.save_latents.empty()) write_latents(order.save_latents, made.latents);
  save(made, paths_for(order.out, count));
}

}  // namespace daguerre::cli

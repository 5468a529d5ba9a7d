#include "diffusion_upscale.hpp"

#include <algorithm>
#include <filesystem>

#include <CLI/CLI.hpp>

#include "interrupt.hpp"
#include "numbers.hpp"
#include "progress.hpp"

namespace daguerre::cli {

bool is_diffusion_model(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_directory(path, error);
}

void add_diffusion_upscale_options(CLI::App& app, DiffusionUpscale& upscale) {
  const std::string group = "Of a model that enlarges by diffusion";
  auto& request = upscale.request;
  app.add_option("--prompt", request.prompt, "What the picture shows; empty: nothing is said")
      ->type_name("TEXT")
      ->group(group);
  app.add_option("--negative", request.negative_prompt, "What it should not show")
      ->type_name("TEXT")
      ->group(group);
  add_number(app, "--steps", request.sampling.steps, {.least = 1},
             "Number of steps, by default the model's (75, DeepFloyd IF 50)")
      ->group(group);
  add_number(app, "--guidance", request.guidance.scale, {.least = 0.0f},
             "How strongly the prompt steers, by default the model's (9, DeepFloyd IF 4)")
      ->group(group);
  add_number(app, "--noise-level", request.input.noise_level, {.least = 0},
             "How much noise is added to the picture: more leaves the model more to invent; by default 20, "
             "DeepFloyd IF 250")
      ->group(group);
  add_number(app, "--seed", request.sampling.seed, {}, "Of the random numbers, by default 0")->group(group);
  app.add_option("--sampler", request.sampling.sampler, "A short name, by default the model's own")
      ->type_name("NAME")
      ->group(group);
}

void upscale_by_diffusion(DiffusionUpscale upscale, const LoadOptions& options, const Interrupt& interrupt,
                          Progress& progress) {
  auto& request = upscale.request;
  request.input.image = Image::load(upscale.from);
  const auto pipeline = Pipeline::load(upscale.model, options);
  progress.loaded();
  const auto& info = pipeline.info();
  if (std::find(info.tasks.begin(), info.tasks.end(), "upscale") == info.tasks.end())
    throw ArgumentError("upscale",
                        upscale.model + " is a " + info.class_name + ", which makes no small picture large");
  const Index ratio = pipeline.model().format().space_ratio;
  if (upscale.tile > 0 && ratio > 1)  // what works in pixels makes pictures of one size
    request.tiles =
        Tiles{.size = upscale.tile * ratio, .overlap = upscale.overlap.value_or(upscale.tile / 4) * ratio};
  request.stop = interrupt.token();
  request.on_step = [&](const Step& step) {
    progress.step(step);
    if (step.index + 1 == step.total) progress.decoding();
    return !interrupt.requested();
  };
  const auto made = pipeline.generate(request);
  progress.finished();
  made.save_png(upscale.to);
}

}  // namespace daguerre::cli

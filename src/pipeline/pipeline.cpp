#include "daguerre/pipeline/pipeline.hpp"

#include <chrono>
#include <cmath>
#include <cstdio>
#include <exception>
#include <optional>

#include "daguerre/pipeline/infotext.hpp"
#include "daguerre/pipeline/stable_diffusion.hpp"
#include "daguerre/samplers/registry.hpp"
#include "daguerre/version.hpp"
#include "daguerre/weights/config.hpp"
#include "daguerre/weights/state_dict.hpp"

namespace daguerre {
namespace {

namespace fs = std::filesystem;
constexpr const char* who = "pipeline";

bool use_bfloat16(Precision precision, const ops::Engine& engine) {
  if (precision != Precision::automatic) return precision == Precision::bfloat16;
  // The Eigen engine widens bfloat16 to multiply it: nothing is gained there.
  return ops::has_native_bfloat16() && engine.name() == "onednn";
}

void check_model_index(const fs::path& folder) {
  if (!fs::is_directory(folder)) throw FileError(who, folder.string() + " is not a folder");
  const fs::path file = folder / "model_index.json";
  if (!fs::exists(file))
    throw FileError(
        who, folder.string() + " has no model_index.json: expected a model folder in diffusers' layout");
  const std::string name = weights::Config::load(file).class_name();
  for (const auto* known :
       {"StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline", "StableDiffusionInpaintPipeline"})
    if (name == known) return;
  throw ConfigError(who, file.string() + ": pipeline class \"" + name +
                             "\" is not supported; supported are: StableDiffusionPipeline, "
                             "StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline");
}

/// The weights of `component` that are not finite, as a clause for an error message; empty when all are.
std::string faulty_weights(const fs::path& component) {
  const auto weights = weights::StateDict::load(component, {.allow_trailing_bytes = true});
  for (const auto& name : weights.names()) {
    const auto tensor = weights.tensor(name, weights.find(name)->shape);
    for (const float value : tensor.span())
      if (!std::isfinite(value))
        return "; the weights are at fault: tensor \"" + name + "\" of " + weights.source() + " holds " +
               (std::isnan(value) ? "NaN" : "infinity");
  }
  return {};
}

/// A number as people write it: "7.5", "20".
std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

/// The picture for a run of that size, as floats in [-1, 1].
Tensor<float> picture_tensor(const Image& image, Index width, Index height) {
  return to_tensor(image.to_channels(3).resized(width, height));
}

/// White where to paint, 1 at 255, `[1, H, W, 1]`.
Tensor<float> mask_tensor(const Image& mask, Index width, Index height) {
  return to_unit_tensor(mask.to_channels(1).resized(width, height));
}

}  // namespace

struct Pipeline::State {
  fs::path folder;
  std::shared_ptr<const ops::Engine> engine;
  std::string engine_name;
  bool is_bfloat16;
  int threads;
  WarningSink on_warning;
  samplers::SamplerRegistry registry;
  weights::Config scheduler_config;
  std::shared_ptr<const samplers::Sampler> own_sampler;
  StableDiffusion model;

  ops::Context context(std::stop_token stop) const {
    ops::Context result;
    result.engine = engine;
    result.threads = threads;
    result.stop = std::move(stop);
    return result;
  }
  StableDiffusionTask task_for(const GenerateOptions& options, const Pipeline& pipeline) const;
  std::string infotext(const GenerateOptions& options, const StableDiffusionTask& task,
                       std::uint64_t seed) const;
};

Pipeline Pipeline::load(const fs::path& folder, const LoadOptions& options) {
  check_model_index(folder);
  if (options.threads < 0) throw ArgumentError(who, "threads is " + std::to_string(options.threads));
  auto registry = options.samplers ? *options.samplers : samplers::SamplerRegistry::standard();
  // What diffusers' Stable Diffusion pipelines do to a scheduler they are given: latents are not confined to
  // [-1, 1], and the models were trained with timesteps counted from 1.
  auto scheduler = weights::Config::load(folder / "scheduler" / "scheduler_config.json")
                       .with(R"({"steps_offset": 1, "clip_sample": false})");
  auto own_sampler = registry.make(scheduler);
  auto tokenizer = text::ClipTokenizer::load(folder / "tokenizer");
  auto engine = ops::make_engine(options.engine);
  const bool is_bfloat16 = use_bfloat16(options.precision, *engine);
  auto networks = load_stable_diffusion_networks(folder, engine, is_bfloat16, options.allow_trailing_bytes,
                                                 options.on_warning);
  std::string engine_name(engine->name());
  return Pipeline(std::make_shared<const State>(
      State{folder, std::move(engine), std::move(engine_name), is_bfloat16,
            options.threads == 0 ? available_threads() : options.threads, options.on_warning,
            std::move(registry), std::move(scheduler), std::move(own_sampler),
            StableDiffusion(std::move(networks), std::move(tokenizer))}));
}

StableDiffusionTask Pipeline::State::task_for(const GenerateOptions& options,
                                              const Pipeline& pipeline) const {
  if (options.count < 1)
    throw ArgumentError(who, "count is " + std::to_string(options.count) + ", expected at least 1");
  const auto count = static_cast<std::size_t>(options.count);
  StableDiffusionTask task;
  task.prompts.assign(count, options.prompt);
  task.negative_prompts.assign(count, options.negative_prompt);
  task.width = options.width == 0 ? pipeline.default_width() : options.width;
  task.height = options.height == 0 ? pipeline.default_height() : options.height;
  if (options.latents.rank() == 4) {
    const Index downscale = model.networks().autoencoder_config().downscale();
    if (options.height == 0) task.height = checked_multiply(options.latents.dim(1), downscale);
    if (options.width == 0) task.width = checked_multiply(options.latents.dim(2), downscale);
  }
  task.steps = options.steps;
  task.guidance = {options.guidance_scale, options.guidance_rescale};
  task.eta = options.eta;
  task.clip_skip = options.clip_skip;
  task.latents = options.latents;
  task.sampler = options.sampler.empty() ? own_sampler : registry.make(options.sampler, scheduler_config);
  if (task.width > 0 && task.height > 0 && task.width <= Image::max_side && task.height <= Image::max_side) {
    if (!options.init_image.empty()) task.image = picture_tensor(options.init_image, task.width, task.height);
    if (!options.mask_image.empty()) task.mask = mask_tensor(options.mask_image, task.width, task.height);
  }
  task.strength = options.strength >= 0 ? options.strength : options.mask_image.empty() ? 0.8 : 1.0;
  return task;
}

std::string Pipeline::State::infotext(const GenerateOptions& options, const StableDiffusionTask& task,
                                      std::uint64_t seed) const {
  Infotext text{options.prompt, options.negative_prompt, {}};
  const auto add = [&](const char* key, std::string value) {
    text.parameters.emplace_back(key, std::move(value));
  };
  add("Steps", std::to_string(task.steps));
  add("Sampler", options.sampler.empty() ? scheduler_config.class_name() : options.sampler);
  add("CFG scale", number(static_cast<double>(task.guidance.scale)));
  add("Seed", std::to_string(seed));
  add("Size", std::to_string(task.width) + "x" + std::to_string(task.height));
  add("Model", fs::absolute(folder).lexically_normal().filename().string());
  if (!task.image.empty()) add("Denoising strength", number(task.strength));
  if (task.clip_skip > 0) add("Clip skip", std::to_string(task.clip_skip + 1));  // there 1 means none
  if (task.guidance.rescale > 0) add("CFG Rescale phi", number(static_cast<double>(task.guidance.rescale)));
  if (task.eta > 0) add("Eta DDIM", number(task.eta));
  if (options.generator == "torch-cpu") add("RNG", "CPU");
  add("Version", std::string("Daguerre ") + version());
  return to_string(text);
}

Generated Pipeline::generate(const GenerateOptions& options) const {
  const auto& model = state_->model;
  const auto task = state_->task_for(options, *this);
  Generated result;
  for (int i = 0; i < options.count; ++i) {
    result.seeds.push_back(options.seed + static_cast<std::uint64_t>(i));
    result.infotexts.push_back(state_->infotext(options, task, result.seeds.back()));
  }
  for (const auto* prompt : {&options.prompt, &options.negative_prompt}) {
    const auto lost = model.tokenizer().window(*prompt).lost;
    if (lost.empty()) continue;
    result.warnings.push_back("[pipeline] the " +
                              std::string(prompt == &options.prompt ? "prompt" : "negative prompt") +
                              " is longer than " + std::to_string(model.tokenizer().length() - 2) +
                              " tokens; these words are lost: " + lost);
    if (state_->on_warning) state_->on_warning(result.warnings.back());
  }

  const auto context = state_->context(options.stop);
  SeededNoise noise(options.generator, result.seeds);
  auto before = std::chrono::steady_clock::now();
  const auto report = [&](const StableDiffusionStep& progress) {
    Step step;
    step.index = progress.index;
    step.total = progress.total;
    step.timestep = progress.timestep;
    step.latents_ = &progress.latents;
    const auto now = std::chrono::steady_clock::now();
    step.seconds = std::chrono::duration<double>(now - before).count();
    step.preview_ = [&](Index n) {
      const auto& guess =
          progress.pred_original_sample.empty() ? progress.latents : progress.pred_original_sample;
      return to_image(model.decode(context, guess.slice(n, n + 1)));
    };
    if (!options.on_step(step)) throw Cancelled(who, "the step callback stopped the run");
    before = std::chrono::steady_clock::now();  // the callback's own time is not a step's
  };
  try {
    auto made = model.run(context, task, noise,
                          options.on_step ? report : std::function<void(const StableDiffusionStep&)>());
    result.latents = std::move(made.latents);
    result.decoded = std::move(made.decoded);
  } catch (const NumericError& error) {
    for (const auto* component : {"text_encoder", "unet", "vae"})
      if (std::string_view(error.what()).starts_with(std::string("[") + component + "]")) {
        const std::string fault = faulty_weights(state_->folder / component);
        if (!fault.empty())
          throw NumericError(
              component, std::string(error.what()).substr(std::string_view(component).size() + 3) + fault);
      }
    throw;
  }
  for (Index n = 0; n < result.decoded.dim(0); ++n) result.images.push_back(to_image(result.decoded, n));
  return result;
}

void Generated::save_png(const fs::path& path, std::size_t n) const {
  if (n >= images.size())
    throw ArgumentError(who,
                        "there is no image " + std::to_string(n) + " among " + std::to_string(images.size()));
  images[n].save_png(path, {{"parameters", infotexts[n]}});
}

Index Pipeline::default_width() const noexcept {
  const auto& networks = state_->model.networks();
  return networks.unet_config().sample_size * networks.autoencoder_config().downscale();
}
Index Pipeline::default_height() const noexcept {
  return default_width();
}
Precision Pipeline::precision() const noexcept {
  return state_->is_bfloat16 ? Precision::bfloat16 : Precision::float32;
}
const std::string& Pipeline::engine() const noexcept {
  return state_->engine_name;
}
int Pipeline::threads() const noexcept {
  return state_->threads;
}
std::vector<std::string> Pipeline::sampler_names() const {
  return state_->registry.names();
}

}  // namespace daguerre

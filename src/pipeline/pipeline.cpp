#include "daguerre/pipeline/pipeline.hpp"

#include <chrono>
#include <cmath>

#include "daguerre/ops/engine.hpp"
#include "daguerre/pipeline/infotext.hpp"
#include "daguerre/samplers/registry.hpp"
#include "daguerre/version.hpp"
#include "daguerre/weights/config.hpp"
#include "pipeline/backend.hpp"
#include "pipeline/load_component.hpp"
#include "pipeline/model_folder.hpp"
#include "pipeline/name.hpp"
#include "pipeline/pipeline_class.hpp"

namespace daguerre {
namespace {

namespace fs = std::filesystem;

/// The weights of `component` that are not finite, as a clause for an error message; empty when all are.
std::string faulty_weights(const ModelPart& part) {
  const auto weights = load_weights(part, {.allow_trailing_bytes = true});
  for (const auto& name : weights.names()) {
    const auto tensor = weights.tensor(name, weights.find(name)->shape);
    for (const float value : tensor.span())
      if (!std::isfinite(value))
        return "; the weights are at fault: tensor \"" + name + "\" of " + weights.source() + " holds " +
               (std::isnan(value) ? "NaN" : "infinity");
  }
  return {};
}

std::string size_text(const Backend::Plan& plan) {
  return std::to_string(plan.width) + "x" + std::to_string(plan.height);
}

}  // namespace

struct Pipeline::State {
  ModelFolder model;
  std::string name;  ///< of the model, for people
  std::shared_ptr<const ops::Engine> engine;
  std::string engine_name;
  Precision precision;
  Threads threads;
  LogSink log;
  samplers::SamplerRegistry registry;
  weights::Config scheduler_config;
  std::shared_ptr<const samplers::Sampler> own_sampler;
  std::unique_ptr<const Backend> backend;

  ops::Context context(const GenerateOptions& options) const {
    return {
        .engine = engine, .threads = threads, .pool = {}, .stop = options.stop, .profile = options.profile};
  }
  std::string sampler_name(const GenerateOptions& options) const {
    return options.sampler.empty() ? scheduler_config.class_name() : options.sampler;
  }
  std::string infotext(const GenerateOptions& options, const Backend::Plan& plan, std::uint64_t seed) const;
};

Pipeline Pipeline::load(const fs::path& folder, const LoadOptions& options) {
  const auto model = ModelFolder::open(folder);
  const auto& pipeline = pipeline_class_of(model);
  if (options.threads < 0)
    throw ArgumentError(pipeline_name, "threads is " + std::to_string(options.threads));
  auto registry = options.samplers ? *options.samplers : samplers::SamplerRegistry::standard();
  auto scheduler = scheduler_config(model, pipeline);
  auto own_sampler = registry.make(scheduler);
  auto engine = ops::make_engine(options.engine);
  const Precision precision = resolved(options.precision, *engine);
  const Threads threads(options.threads == 0 ? available_threads() : options.threads);
  std::string engine_name(engine->name());
  if (options.log)
    options.log(LogLevel::info, "[pipeline] " + folder.string() + ": " + model.class_name() + ", engine " +
                                    engine_name + " " + ops::engine_version(engine_name) + ", " +
                                    std::string(ops::instruction_set()) + ", precision " +
                                    std::string(short_name(precision)) + ", threads " +
                                    std::to_string(threads.count()));
  const ops::Context compute{.engine = engine, .threads = threads, .pool = {}, .stop = {}, .profile = {}};
  auto backend =
      pipeline.load({model, scheduler, compute, precision, options.allow_trailing_bytes, options.log});
  return Pipeline(std::make_shared<const State>(State{
      model, model_name(folder), std::move(engine), std::move(engine_name), precision, threads, options.log,
      std::move(registry), std::move(scheduler), std::move(own_sampler), std::move(backend)}));
}

std::string Pipeline::State::infotext(const GenerateOptions& options, const Backend::Plan& plan,
                                      std::uint64_t seed) const {
  Infotext text{options.prompt, options.negative_prompt, {}};
  const auto add = [&](const char* key, std::string value) {
    text.parameters.emplace_back(key, std::move(value));
  };
  add("Steps", std::to_string(options.steps));
  add("Sampler", sampler_name(options));
  if (plan.guidance) add("CFG scale", number(static_cast<double>(*plan.guidance)));
  add("Seed", std::to_string(seed));
  add("Size", size_text(plan));
  if (!name.empty()) add("Model", name);
  text.parameters.insert(text.parameters.end(), plan.parameters.begin(), plan.parameters.end());
  if (options.guidance_rescale > 0)
    add("CFG Rescale phi", number(static_cast<double>(options.guidance_rescale)));
  if (options.eta > 0) add("Eta DDIM", number(options.eta));
  if (options.generator == "torch-cpu") add("RNG", "CPU");
  add("Version", std::string("Daguerre ") + version());
  return to_string(text);
}

Generated Pipeline::generate(const GenerateOptions& options) const {
  if (options.count < 1)
    throw ArgumentError(pipeline_name, "count is " + std::to_string(options.count) + ", expected at least 1");
  const auto& backend = *state_->backend;
  const auto plan = backend.plan(
      options, options.sampler.empty() ? state_->own_sampler
                                       : state_->registry.make(options.sampler, state_->scheduler_config));
  Generated result;
  for (int i = 0; i < options.count; ++i) {
    result.seeds.push_back(options.seed + static_cast<std::uint64_t>(i));
    result.infotexts.push_back(state_->infotext(options, plan, result.seeds.back()));
  }
  result.warnings = plan.warnings;
  if (state_->log) {
    state_->log(LogLevel::info, "[pipeline] pictures: " + std::to_string(options.count) + ", " +
                                    size_text(plan) + ", " + std::to_string(options.steps) + " steps of " +
                                    state_->sampler_name(options) + ", seed " + std::to_string(options.seed));
    for (const auto& warning : result.warnings) state_->log(LogLevel::warning, warning);
  }

  const auto context = state_->context(options);
  SeededNoise noise(options.generator, result.seeds);
  auto before = std::chrono::steady_clock::now();
  const auto report = [&](const DenoisingStep& progress) {
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
      return to_image(backend.decode(context, guess.slice(n, n + 1)));
    };
    if (!options.on_step(step)) throw Cancelled(pipeline_name, "the step callback stopped the run");
    before = std::chrono::steady_clock::now();  // the callback's own time is not a step's
  };
  try {
    auto made = plan.run(context, noise, options.on_step ? report : StepObserver());
    result.latents = std::move(made.latents);
    result.decoded = std::move(made.decoded);
  } catch (const NumericError& error) {
    for (const auto& component : backend.components())
      if (std::string_view(error.what()).starts_with("[" + component + "]")) {
        const std::string fault = faulty_weights(state_->model.part(component));
        if (!fault.empty())
          throw NumericError(component, std::string(error.what()).substr(component.size() + 3) + fault);
      }
    throw;
  }
  for (Index n = 0; n < result.decoded.dim(0); ++n) result.images.push_back(to_image(result.decoded, n));
  return result;
}

void Generated::save_png(const fs::path& path, std::size_t n) const {
  if (n >= images.size())
    throw ArgumentError(pipeline_name,
                        "there is no image " + std::to_string(n) + " among " + std::to_string(images.size()));
  images[n].save_png(path, {{"parameters", infotexts[n]}});
}

Index Pipeline::default_width() const noexcept {
  return state_->backend->default_size().first;
}
Index Pipeline::default_height() const noexcept {
  return state_->backend->default_size().second;
}
std::int32_t Pipeline::class_id(std::string_view name) const {
  return state_->backend->class_names().find(name);
}
Precision Pipeline::precision() const noexcept {
  return state_->precision;
}
const std::string& Pipeline::engine() const noexcept {
  return state_->engine_name;
}
int Pipeline::threads() const noexcept {
  return state_->threads.count();
}
std::vector<std::string> Pipeline::sampler_names() const {
  return state_->registry.names();
}

}  // namespace daguerre

#include "daguerre/pipeline/pipeline.hpp"

#include <chrono>
#include <cmath>

#include "daguerre/config/config.hpp"
#include "daguerre/core/version.hpp"
#include "daguerre/media/infotext.hpp"
#include "daguerre/ops/engine.hpp"
#include "daguerre/pipeline/model.hpp"
#include "daguerre/samplers/registry.hpp"
#include "pipeline/model_fit.hpp"
#include "pipeline/name.hpp"
#include "pipeline/plan.hpp"

namespace daguerre {
namespace {

namespace fs = std::filesystem;

/// The weights of `component` that are not finite, as a clause for an error message; empty when all are.
std::string faulty_weights(const ComponentSource& part) {
  const auto weights = part.weights({.allow_trailing_bytes = true});
  for (const auto& name : weights.names()) {
    const auto tensor = weights.tensor(name, weights.find(name)->shape);
    for (const float value : tensor.span())
      if (!std::isfinite(value))
        return "; the weights are at fault: tensor \"" + name + "\" of " + weights.source() + " holds " +
               (std::isnan(value) ? "NaN" : "infinity");
  }
  return {};
}

std::string size_text(const Task& task) {
  return std::to_string(task.width) + "x" + std::to_string(task.height);
}

/// What the weights take when they are packed.
std::uint64_t packed_bytes(const ModelSource& source, const Family& family, Precision precision) {
  std::uint64_t elements = 0;
  for (const auto& part : family.parts) {
    if (!source.find(part.name)) continue;
    const auto state = source.part(part.name).weights({.allow_trailing_bytes = true});
    for (const auto& name : state.names()) elements += static_cast<std::uint64_t>(state.shape(name).size());
  }
  return elements * (precision == Precision::float32 ? sizeof(float) : sizeof(bfloat16));
}

WeightStorage storage_of(const LoadOptions& options, const ModelSource& source, const Family& family,
                         Precision precision) {
  if (options.weights != WeightStorage::automatic) return options.weights;
  const bool fits =
      options.memory_limit == 0 || packed_bytes(source, family, precision) <= options.memory_limit;
  return fits ? WeightStorage::packed : WeightStorage::mapped;
}

}  // namespace

struct Pipeline::State {
  ModelSource source;
  std::shared_ptr<const ops::Engine> engine;
  std::string engine_name;
  Precision precision;
  WeightStorage weights;
  Threads threads;
  LogSink log;
  samplers::SamplerRegistry registry;
  Config scheduler_config;
  std::shared_ptr<const samplers::Sampler> own_sampler;
  ClassNames class_names;
  Model model;

  ops::Context context(const GenerateOptions& options) const {
    return {
        .engine = engine, .threads = threads, .pool = {}, .stop = options.stop, .profile = options.profile};
  }
  std::string sampler_name(const GenerateOptions& options) const {
    return options.sampler.empty() ? scheduler_config.class_name() : options.sampler;
  }
  std::string infotext(const GenerateOptions& options, const Plan& plan, std::uint64_t seed) const;
};

Pipeline Pipeline::load(const fs::path& path, const LoadOptions& options) {
  auto source = options.source ? *options.source : SourceOptions();
  source.allow_trailing_bytes = source.allow_trailing_bytes || options.allow_trailing_bytes;
  return load(ModelSource::open(path, source), options);
}

Pipeline Pipeline::load(const ModelSource& source, const LoadOptions& options) {
  const auto families = options.families ? *options.families : FamilyRegistry::standard();
  const auto& family = families.of_class(source.class_name(), source.index().source());
  if (options.threads < 0)
    throw ArgumentError(pipeline_name, "threads is " + std::to_string(options.threads));
  auto registry = options.samplers ? *options.samplers : samplers::SamplerRegistry::standard();
  auto scheduler = scheduler_config(source, FamilyRegistry::pipeline_class(family, source.class_name()));
  auto own_sampler = registry.make(scheduler);
  auto engine = ops::make_engine(options.engine);
  const Precision precision = resolved(options.precision, *engine);
  const WeightStorage weights = storage_of(options, source, family, precision);
  const Threads threads(options.threads == 0 ? available_threads() : options.threads);
  std::string engine_name(engine->name());
  const LoadContext context{
      .compute = {.engine = engine,
                  .threads = threads,
                  .pool = {},
                  .stop = options.stop,
                  .profile = {},
                  .placement = weights == WeightStorage::mapped ? ops::WeightPlacement::mapped
                                                                : ops::WeightPlacement::packed},
      .precision = precision,
      .allow_trailing_bytes = options.allow_trailing_bytes,
      .log = options.log,
      .on_part = options.on_part};
  context.tell(LogLevel::info, "[pipeline] " + source.index().source() + ": " + source.class_name() +
                                   ", engine " + engine_name + " " + ops::engine_version(engine_name) + ", " +
                                   std::string(ops::instruction_set()) + ", precision " +
                                   std::string(short_name(precision)) +
                                   (weights == WeightStorage::mapped ? ", weights mapped" : "") +
                                   ", threads " + std::to_string(threads.count()));
  if (source.find("safety_checker"))
    context.tell(LogLevel::info, "[pipeline] the model's safety_checker is not run");
  const auto labels = source.index().json("id2label");
  auto class_names = labels ? ClassNames::parse(*labels, source.index().source()) : ClassNames();
  auto model = Model::load(family, source,
                           options.components ? *options.components : ComponentRegistry::standard(), context);
  check_variance(scheduler, model.format().channels, model.denoiser().out_channels, model.denoiser().config);
  return Pipeline(std::make_shared<const State>(
      State{source, std::move(engine), std::move(engine_name), precision, weights, threads, options.log,
            std::move(registry), std::move(scheduler), std::move(own_sampler), std::move(class_names),
            std::move(model)}));
}

std::string Pipeline::State::infotext(const GenerateOptions& options, const Plan& plan,
                                      std::uint64_t seed) const {
  Infotext text{options.prompt, options.negative_prompt.value_or(""), {}};
  const auto add = [&](const char* key, std::string value) {
    text.parameters.emplace_back(key, std::move(value));
  };
  add("Steps", std::to_string(plan.task.steps));
  add("Sampler", sampler_name(options));
  if (model.family().tasks.guidance) add("CFG scale", number(static_cast<double>(plan.task.guidance.scale)));
  add("Seed", std::to_string(seed));
  add("Size", size_text(plan.task));
  if (!source.name().empty()) add("Model", source.name());
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
  const auto& model = state_->model;
  const auto plan =
      plan_for(options, model, state_->class_names,
               options.sampler.empty() ? state_->own_sampler
                                       : state_->registry.make(options.sampler, state_->scheduler_config));
  Generated result;
  for (int i = 0; i < options.count; ++i) {
    result.seeds.push_back(options.seed + static_cast<std::uint64_t>(i));
    result.infotexts.push_back(state_->infotext(options, plan, result.seeds.back()));
  }
  result.warnings = plan.warnings;
  if (state_->log) {
    state_->log(LogLevel::info, "[pipeline] pictures: " + std::to_string(options.count) + ", " +
                                    size_text(plan.task) + ", " + std::to_string(plan.task.steps) +
                                    " steps of " + state_->sampler_name(options) + ", seed " +
                                    std::to_string(options.seed));
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
      return to_image(model.decode(context, guess.slice(n, n + 1)));
    };
    if (!options.on_step(step)) throw Cancelled(pipeline_name, "the step callback stopped the run");
    before = std::chrono::steady_clock::now();  // the callback's own time is not a step's
  };
  try {
    auto made = model.run(context, plan.task, noise, options.on_step ? report : StepObserver());
    result.latents = std::move(made.latents);
    result.decoded = std::move(made.decoded);
  } catch (const NumericError& error) {
    for (const auto& part : model.family().parts)
      if (part.name == error.who() && state_->source.find(part.name)) {
        const std::string fault = faulty_weights(state_->source.part(part.name));
        if (!fault.empty()) throw NumericError(part.name, error.message() + fault);
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

PipelineInfo Pipeline::info() const {
  const auto& model = state_->model;
  const auto& tasks = model.family().tasks;
  const auto size = model.default_size();
  const bool joins = model.denoiser().in_channels != model.format().channels;
  return {.name = state_->source.name(),
          .class_name = state_->source.class_name(),
          .family = model.family().name,
          .takes_prompt = tasks.prompt,
          .takes_class = tasks.classes && model.denoiser().classes > 0,
          .takes_guidance = tasks.guidance,
          .takes_image = tasks.image,
          .needs_image = joins,
          .needs_mask = joins && !tasks.needs_image,
          .width = size[1],
          .height = size[0],
          .steps = model.family().defaults.steps,
          .guidance_scale = model.family().defaults.guidance_scale,
          .sampler = state_->scheduler_config.class_name(),
          .class_names = state_->class_names.labels()};
}
const Model& Pipeline::model() const noexcept {
  return state_->model;
}
Index Pipeline::default_width() const noexcept {
  return state_->model.default_size()[1];
}
Index Pipeline::default_height() const noexcept {
  return state_->model.default_size()[0];
}
std::int32_t Pipeline::class_id(std::string_view name) const {
  return state_->class_names.find(name);
}
Precision Pipeline::precision() const noexcept {
  return state_->precision;
}
WeightStorage Pipeline::weight_storage() const noexcept {
  return state_->weights;
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

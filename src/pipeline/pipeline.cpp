#include "daguerre/pipeline/pipeline.hpp"

#include <chrono>
#include <cmath>

#include "core/attempt.hpp"
#include "daguerre/core/version.hpp"
#include "daguerre/media/infotext.hpp"
#include "daguerre/ops/engine_registry.hpp"
#include "daguerre/samplers/registry.hpp"
#include "pipeline/model_fit.hpp"
#include "pipeline/name.hpp"
#include "pipeline/plan.hpp"

namespace daguerre {
namespace {

constexpr const char* usual_generator = "torch-cpu";

/// The weights of `part` that are not finite, as an error of `error`'s kind that says so; `error` when all
/// are.
NumericError with_faulty_weights(const NumericError& error, const ComponentSource& part) {
  const auto weights = part.weights({.allow_trailing_bytes = true});
  for (const auto& name : weights.names()) {
    const auto tensor = weights.tensor(name, weights.find(name)->shape);
    for (const float value : tensor.span())
      if (!std::isfinite(value))
        return {part.name,
                error.message() + "; the weights are at fault: tensor \"" + name + "\" of " +
                    weights.source() + " holds " + (std::isnan(value) ? "NaN" : "infinity"),
                weights.path()};
  }
  return error;
}

std::string size_text(const Task& task) {
  return std::to_string(task.width) + "x" + std::to_string(task.height);
}

/// What the model says of itself.
void describe(const Model& model, PipelineInfo& info) {
  const auto& family = model.family();
  const auto& tasks = family.tasks;
  const bool joins = model.denoiser().in_channels != model.format().channels;
  info.family = family.name;
  info.takes_prompt = tasks.prompt;
  info.takes_class = tasks.classes && model.denoiser().classes > 0;
  info.takes_guidance = tasks.guidance;
  info.takes_image = tasks.image || tasks.references;
  const bool from_picture = is_made_from_picture(tasks.joins);
  info.needs_image = joins;
  info.needs_mask = joins && !from_picture;
  if (tasks.references || tasks.joins == Joins::edited) info.tasks.emplace_back("edit");
  if (tasks.joins == Joins::control) info.tasks.emplace_back("control");
  if (!joins)
    info.tasks.emplace_back(info.takes_prompt ? "txt2img" : info.takes_class ? "class2img" : "unconditional");
  if (!joins && tasks.image) info.tasks.emplace_back("img2img");
  if (tasks.image && !from_picture) info.tasks.emplace_back("inpaint");
  const auto size = model.default_size();
  info.height = size[0];
  info.width = size[1];
  info.steps = family.defaults.steps;
  info.guidance_scale = family.defaults.guidance_scale;
}

}  // namespace

struct Pipeline::State {
  ModelSource source;
  std::shared_ptr<const ops::Engine> engine;
  Threads threads;
  LogSink log;
  samplers::SamplerRegistry registry;
  Config scheduler_config;
  std::shared_ptr<const samplers::Sampler> own_sampler;
  ClassNames class_names;
  Model model;
  PipelineInfo info;

  static Pipeline load(const ModelSource& source, const LoadOptions& options);
  LoadContext adapter_context() const;
  std::string infotext(const Request& request, const Plan& plan, std::uint64_t seed) const;
};

Pipeline Pipeline::load(const std::filesystem::path& path, const LoadOptions& options) {
  auto source = options.source ? *options.source : SourceOptions();
  source.allow_trailing_bytes = source.allow_trailing_bytes || options.allow_trailing_bytes;
  return naming(path, [&] { return State::load(ModelSource::open(path, source), options); });
}

Pipeline Pipeline::load(const ModelSource& source, const LoadOptions& options) {
  return naming(source.path(), [&] { return State::load(source, options); });
}

Expected<Pipeline> Pipeline::try_load(const std::filesystem::path& path,
                                      const LoadOptions& options) noexcept {
  return attempt([&] { return load(path, options); });
}

Expected<Pipeline> Pipeline::try_load(const ModelSource& source, const LoadOptions& options) noexcept {
  return attempt([&] { return load(source, options); });
}

Pipeline Pipeline::State::load(const ModelSource& source, const LoadOptions& options) {
  const auto families = options.families ? *options.families : FamilyRegistry::standard();
  const auto& family = naming(source.index().path(), [&]() -> const Family& {
    return families.of_class(source.class_name(), source.index().source());
  });
  if (options.threads < 0)
    throw ArgumentError(pipeline_name, "threads is " + std::to_string(options.threads));
  auto registry = options.samplers ? *options.samplers : samplers::SamplerRegistry::standard();
  auto scheduler =
      daguerre::scheduler_config(source, FamilyRegistry::pipeline_class(family, source.class_name()));
  auto own_sampler = naming(scheduler.path(), [&] { return registry.make(scheduler); });
  auto engine = options.engines ? options.engines->make(options.engine) : ops::make_engine(options.engine);
  const Threads threads(options.threads == 0 ? available_threads() : options.threads);
  PipelineInfo info;
  info.name = source.name();
  info.class_name = source.class_name();
  info.sampler = scheduler.class_name();
  info.samplers = registry.names_for(scheduler);
  info.engine = engine->name();
  info.precision = resolved(options.precision, *engine);
  info.threads = threads.count();
  const LoadContext context{
      .compute = {.engine = engine, .threads = threads, .pool = {}, .stop = options.stop, .profile = {}},
      .precision = info.precision,
      .allow_trailing_bytes = options.allow_trailing_bytes,
      .memory = {.weights = options.weights, .residency = options.residency, .limit = options.memory_limit},
      .log = options.log,
      .on_part =
          [&](std::string_view part, int index, int total, const Keeping& keeping) {
            const bool mapped = keeping.placement == ops::WeightPlacement::mapped;
            info.weights = mapped ? WeightStorage::mapped : WeightStorage::packed;  // the denoiser is last
            info.parts.push_back(
                {.name = std::string(part),
                 .class_name = source.part(part).class_name,
                 .source = {},
                 .weights = info.weights,
                 .residency = keeping.when_needed ? Residency::when_needed : Residency::kept});
            if (options.on_part) options.on_part(part, index, total);
          },
      .on_weights =
          [&](const std::string& from, std::uint64_t bytes) {
            if (info.parts.empty()) return;  // an opener of the host's, ahead of time
            info.parts.back().source = from;
            info.parts.back().weight_bytes += bytes;
            info.weight_bytes += bytes;
          }};
  context.tell(LogLevel::info,
               "[pipeline] " + source.index().source() + ": " + info.class_name + ", engine " + info.engine +
                   " " + engine->version() + ", " + std::string(ops::instruction_set()) + ", precision " +
                   std::string(short_name(info.precision)) + ", threads " + std::to_string(info.threads));
  if (source.find("safety_checker"))
    context.tell(LogLevel::info, "[pipeline] the model's safety_checker is not run");
  const auto labels = source.index().json("id2label");
  auto class_names = naming(source.index().path(), [&] {
    return labels ? ClassNames::parse(*labels, source.index().source()) : ClassNames();
  });
  info.class_names = class_names.labels();
  auto model = Model::load(family, source,
                           options.components ? *options.components : ComponentRegistry::standard(), context);
  check_variance(scheduler, model.format().channels, model.denoiser().out_channels, model.denoiser().config);
  describe(model, info);
  return Pipeline(std::make_shared<const State>(
      State{source, std::move(engine), threads, options.log, std::move(registry), std::move(scheduler),
            std::move(own_sampler), std::move(class_names), std::move(model), std::move(info)}));
}

std::string Pipeline::State::infotext(const Request& request, const Plan& plan, std::uint64_t seed) const {
  Infotext text{request.prompt, request.negative_prompt.value_or(""), {}};
  const auto add = [&](const char* key, std::string value) {
    text.parameters.emplace_back(key, std::move(value));
  };
  add("Steps", std::to_string(plan.task.steps));
  add("Sampler", request.sampling.sampler.value_or(info.sampler));
  const auto& guidance = plan.task.guidance;
  const bool distilled = model.family().tasks.true_cfg;
  if (distilled || info.takes_guidance)
    add("CFG scale", number(static_cast<double>(distilled ? guidance.true_cfg_scale : guidance.scale)));
  if (distilled && info.takes_guidance)
    add("Distilled CFG Scale", number(static_cast<double>(guidance.scale)));
  add("Seed", std::to_string(seed));
  add("Size", size_text(plan.task));
  if (!info.name.empty()) add("Model", info.name);
  text.parameters.insert(text.parameters.end(), plan.parameters.begin(), plan.parameters.end());
  if (plan.task.guidance.rescale > 0)
    add("CFG Rescale phi", number(static_cast<double>(plan.task.guidance.rescale)));
  if (plan.task.eta > 0) add("Eta DDIM", number(plan.task.eta));
  if (request.sampling.generator.value_or(usual_generator) == usual_generator) add("RNG", "CPU");
  add("Version", std::string("Daguerre ") + version());
  return to_string(text);
}

Result Pipeline::generate(const Request& request) const {
  const auto& model = state_->model;
  const auto& sampling = request.sampling;
  const auto plan =
      plan_for(request, model, state_->class_names,
               sampling.sampler ? state_->registry.make(*sampling.sampler, state_->scheduler_config)
                                : state_->own_sampler);
  const auto& task = plan.task;
  Result result;
  const auto seed = sampling.seed.value_or(0);
  for (std::size_t i = 0; i < task.prompts.size(); ++i) {
    result.seeds.push_back(seed + i);
    result.infotexts.push_back(state_->infotext(request, plan, result.seeds.back()));
  }
  result.warnings = plan.warnings;
  if (state_->log) {
    state_->log(LogLevel::info, "[pipeline] pictures: " + std::to_string(result.seeds.size()) + ", " +
                                    size_text(task) + ", " + std::to_string(task.steps) + " steps of " +
                                    sampling.sampler.value_or(state_->info.sampler) + ", seed " +
                                    std::to_string(seed));
    for (const auto& warning : result.warnings) state_->log(LogLevel::warning, warning);
  }

  const ops::Context context{.engine = state_->engine,
                             .threads = state_->threads,
                             .pool = {},
                             .stop = request.stop,
                             .profile = request.profile};
  SeededNoise noise(sampling.generator.value_or(usual_generator), result.seeds);
  auto before = std::chrono::steady_clock::now();
  Step step;
  Tensor<float> guess;
  step.decode = [&](Index n) { return to_image(model.decode(context, guess.slice(n, n + 1), task)); };
  const auto report = [&](const DenoisingStep& progress) {
    const auto now = std::chrono::steady_clock::now();
    step.index = static_cast<int>(progress.index);
    step.total = static_cast<int>(progress.total);
    step.timestep = progress.timestep;
    step.seconds = std::chrono::duration<double>(now - before).count();
    step.latents = progress.latents;
    guess = progress.pred_original_sample.empty() ? progress.latents : progress.pred_original_sample;
    const bool go_on = request.on_step(step);
    step.latents = guess = {};  // their memory is the next step's
    if (!go_on) throw Cancelled(pipeline_name, "the step callback stopped the run");
    before = std::chrono::steady_clock::now();  // the callback's own time is not a step's
  };
  try {
    auto conditions = model.condition(context, task, *model.guider(task));
    auto latents =
        model.denoise(context, task, std::move(conditions), noise, request.on_step ? report : StepObserver());
    std::vector<Tensor<float>> decoded;
    const auto lease = model.components().autoencoder->lease();
    for (Index n = 0; n < latents.dim(0); ++n) {
      auto picture = model.decode(context, latents.slice(n, n + 1), task);
      result.images.push_back(to_image(picture));
      if (request.output.decoded) decoded.push_back(std::move(picture));
    }
    if (request.output.decoded) result.decoded = concat_leading<float>(decoded);
    if (request.output.latents) result.latents = std::move(latents);
  } catch (const NumericError& error) {
    for (const auto& part : model.family().parts)
      if (part.name == error.who() && state_->source.find(part.name))
        throw with_faulty_weights(error, state_->source.part(part.name));
    throw;
  }
  return result;
}

Expected<Result> Pipeline::try_generate(const Request& request) const noexcept {
  return attempt([&] { return generate(request); });
}

LoadContext Pipeline::State::adapter_context() const {
  return {.compute = {.engine = engine, .threads = threads, .pool = {}, .stop = {}, .profile = {}},
          .precision = info.precision,
          .log = log};
}

std::shared_ptr<const ImageEncoder> Pipeline::load_image_encoder(const std::filesystem::path& folder) const {
  return naming(folder, [&] { return daguerre::load_image_encoder(folder, state_->adapter_context()); });
}

std::shared_ptr<const IpAdapter> Pipeline::load_ip_adapter(const std::filesystem::path& file,
                                                           std::shared_ptr<const ImageEncoder> encoder) const {
  return naming(file, [&] {
    return daguerre::load_ip_adapter(file, std::move(encoder), state_->adapter_context());
  });
}

const PipelineInfo& Pipeline::info() const noexcept {
  return state_->info;
}
const Model& Pipeline::model() const noexcept {
  return state_->model;
}
std::int32_t Pipeline::class_id(std::string_view name) const {
  return state_->class_names.find(name);
}

}  // namespace daguerre

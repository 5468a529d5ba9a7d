#include "daguerre/pipeline/pipeline.hpp"

#include <chrono>
#include <cmath>

#include "core/attempt.hpp"
#include "core/text.hpp"
#include "daguerre/core/version.hpp"
#include "daguerre/media/infotext.hpp"
#include "daguerre/ops/engine_registry.hpp"
#include "daguerre/pipeline/ip_adapter.hpp"
#include "daguerre/samplers/registry.hpp"
#include "pipeline/adapted_models.hpp"
#include "pipeline/canvas.hpp"
#include "pipeline/film_plan.hpp"
#include "pipeline/infotext.hpp"
#include "pipeline/interpolation.hpp"
#include "pipeline/lora_tags.hpp"
#include "pipeline/model_fit.hpp"
#include "pipeline/name.hpp"
#include "pipeline/piecewise.hpp"
#include "pipeline/plan.hpp"
#include "pipeline/prepare.hpp"
#include "pipeline/second_pass.hpp"

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

/// "[lora] style: weight 0.8, unet 192, text_encoder 72 modules"
std::string lora_text(const LoraInfo& lora) {
  std::string text = "[lora] " + lora.name + ": weight " + number(static_cast<double>(lora.weight));
  for (const auto& [part, modules] : lora.modules) text += ", " + part + " " + std::to_string(modules);
  text += lora.modules.empty() ? "" : " modules";
  if (lora.unmatched > 0) text += ", " + std::to_string(lora.unmatched) + " keys fit nothing";
  return text;
}

/// The random numbers of a run.
struct RunNoise {
  SeededNoise seeded, other;
  VariedNoise varied;

  RunNoise(const Request::Sampling& sampling, const std::vector<std::uint64_t>& seeds,
           const std::vector<std::uint64_t>& variations)
      : seeded(sampling.generator.value_or(usual_generator), seeds),
        other(sampling.generator.value_or(usual_generator), variations),
        varied(seeded, other, sampling.variation_strength.value_or(0.0)) {}
  RunNoise(const RunNoise&) = delete;
  RunNoise& operator=(const RunNoise&) = delete;
};

/// What the model says of itself.
void describe(const Model& model, PipelineInfo& info) {
  const auto& family = model.family();
  const auto& tasks = family.tasks;
  const bool joins = model.denoiser().in_channels != model.format().channels;
  info.family = family.name;
  info.takes_prompt = tasks.prompt;
  info.takes_class = tasks.classes && model.denoiser().classes > 0;
  info.takes_guidance = tasks.guidance;
  info.takes_image = tasks.image || tasks.references || enlarges(tasks.joins);
  const bool from_picture = is_made_from_picture(tasks.joins);
  info.needs_image = joins;
  const bool enlarging = enlarges(tasks.joins);
  info.needs_mask = joins && !from_picture && !enlarging;
  info.takes_controls = model.denoiser().takes.kind != FeatureSizes::Kind::none;
  if (tasks.references || tasks.joins == Joins::edited) info.tasks.emplace_back("edit");
  if (tasks.joins == Joins::control) info.tasks.emplace_back("control");
  if (!joins)
    info.tasks.emplace_back(info.takes_prompt ? "txt2img" : info.takes_class ? "class2img" : "unconditional");
  if (!joins && tasks.image) info.tasks.emplace_back("img2img");
  if (enlarging) info.tasks.emplace_back("upscale");
  if (tasks.image && !from_picture && !enlarging) info.tasks.emplace_back("inpaint");
  const auto size = model.default_size();
  info.makes_films = model.denoiser().films;
  if (info.makes_films) {
    info.tasks.clear();
    if (!family.films.needs_condition && !family.films.follows) info.tasks.emplace_back("txt2vid");
    if (family.films.conditions != FilmTasks::Conditions::none) info.tasks.emplace_back("img2vid");
    if (family.films.video || family.films.follows) info.tasks.emplace_back("vid2vid");
    info.frames = model.frames_of({});
    info.frame_rate = family.defaults.frame_rate;
    info.takes_video = family.films.video || family.films.follows;
    info.needs_condition = family.films.needs_condition;
  }
  info.noise_level = family.augmentation.level;
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
  AdaptedModels models;
  FindLora find_lora;
  PipelineInfo info;
  bool allow_trailing_bytes;
  std::uint64_t memory_limit = 0;

  static Pipeline load(const ModelSource& source, const LoadOptions& options);
  /// What runs of this pipeline have.
  ops::Context context(std::stop_token stop = {}, std::shared_ptr<ops::Profile> profile = {}) const {
    return {.engine = engine,
            .threads = threads,
            .pool = {},
            .stop = std::move(stop),
            .profile = std::move(profile)};
  }
  LoadContext adapter_context() const;
  /// Bytes that a film may take beside the weights that are kept.
  std::uint64_t film_memory() const;
  /// What is to be done, in tensors, by `model`; `canvas` has what is done in pixels.
  Plan plan_of(const Canvas& canvas, const Model& model) const;
  std::string infotext(const Request& request, const Plan& plan, std::uint64_t seed,
                       std::uint64_t variation) const;
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
      .loras = options.loras,
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
  for (const auto* part : {"safety_checker", "watermarker"})
    if (source.find(part))
      context.tell(LogLevel::info, "[pipeline] the model's " + std::string(part) + " is not run");
  const auto labels = source.index().json("id2label");
  auto class_names = naming(source.index().path(), [&] {
    return labels ? ClassNames::parse(*labels, source.index().source()) : ClassNames();
  });
  info.class_names = class_names.labels();
  auto model = Model::load(family, source,
                           options.components ? *options.components : ComponentRegistry::standard(), context);
  if (const auto& denoiser = model.denoiser(); !model.family().drops_variance)
    check_variance(scheduler, model.format().channels, denoiser.out_channels, denoiser.config);
  describe(model, info);
  info.loras = model.loras();
  for (const auto& lora : info.loras) context.tell(LogLevel::info, lora_text(lora));
  auto find_lora = options.find_lora;
  if (!find_lora && !options.lora_dir.empty()) find_lora = LoraFolder(options.lora_dir);
  return Pipeline(std::make_shared<const State>(
      State{source, std::move(engine), threads, options.log, std::move(registry), std::move(scheduler),
            std::move(own_sampler), std::move(class_names),
            AdaptedModels(std::move(model), options.memory_limit != 0), std::move(find_lora), std::move(info),
            options.allow_trailing_bytes, options.memory_limit}));
}

Plan Pipeline::State::plan_of(const Canvas& canvas, const Model& model) const {
  const auto& request = canvas.request();
  const auto sampler = [&](const std::optional<std::string>& name) {
    return name ? registry.make(*name, scheduler_config) : own_sampler;
  };
  auto plan = plan_for(request, model, class_names, sampler(request.sampling.sampler));
  const auto& more = canvas.parameters();
  plan.parameters.insert(plan.parameters.end(), more.begin(), more.end());
  if (!request.hires) return plan;
  check_task(plan.task, model.family(), model.components());
  const auto& second = request.hires->sampler;
  plan.second = second_task(request, plan.task, model, sampler(second ? second : request.sampling.sampler));
  const auto described = parameters_of(*request.hires, plan.task);
  plan.parameters.insert(plan.parameters.end(), described.begin(), described.end());
  return plan;
}

std::string Pipeline::State::infotext(const Request& request, const Plan& plan, std::uint64_t seed,
                                      std::uint64_t variation) const {
  Infotext text{request.prompt, request.negative_prompt.value_or(""), {}};
  const auto add = [&](const char* key, std::string value) {
    text.parameters.emplace_back(key, std::move(value));
  };
  add("Steps", std::to_string(plan.task.steps));
  add("Sampler", request.sampling.sampler.value_or(info.sampler));
  const auto& guidance = plan.task.guidance;
  const bool distilled = models.plain().family().tasks.true_cfg;
  if (distilled && !info.takes_guidance) {
    if (guidance.true_cfg_scale != 1.0f) add("True CFG scale", number(guidance.true_cfg_scale));
  } else if (info.takes_guidance) {
    add("CFG scale", number(distilled ? guidance.true_cfg_scale : guidance.scale));
  }
  if (distilled && info.takes_guidance) add("Distilled CFG Scale", number(guidance.scale));
  add("Seed", std::to_string(seed));
  if (const auto strength = request.sampling.variation_strength.value_or(0.0); strength > 0.0) {
    add("Variation seed", std::to_string(variation));
    add("Variation seed strength", number(strength));
  }
  add("Size", size_text(plan.task));
  if (!info.name.empty()) add("Model", info.name);
  text.parameters.insert(text.parameters.end(), plan.parameters.begin(), plan.parameters.end());
  const auto more = request_parameters(request, plan.task);
  text.parameters.insert(text.parameters.end(), more.begin(), more.end());
  if (plan.task.guidance.rescale > 0) add("CFG Rescale phi", number(plan.task.guidance.rescale));
  if (plan.task.eta > 0) add("Eta DDIM", number(plan.task.eta));
  if (request.sampling.generator.value_or(usual_generator) == usual_generator) add("RNG", "CPU");
  add("Version", std::string("Daguerre ") + version());
  return to_string(text);
}

Result Pipeline::generate(const Request& given) const {
  const auto named = with_named_loras(given, [this](std::string_view name) { return lora(name); });
  const ops::Context context = state_->context(named.stop, named.profile);
  const auto adapted = state_->models.with(named.loras, context);
  const auto canvas =
      Canvas::of(interpolated(named, adapted),
                 adapted.format().space_ratio * adapted.denoiser().side_multiple, adapted.default_size());
  const auto& request = canvas.request();
  const auto& sampling = request.sampling;
  auto plan = state_->plan_of(canvas, adapted);
  const auto model =
      piecewise(adapted, request, plan, memory_for_decoding(state_->memory_limit, state_->info, request));
  check_film_memory(request, adapted, plan.task, state_->film_memory());
  Result result;
  const auto seed = sampling.seed.value_or(0);
  const bool varies = sampling.variation_strength.value_or(0.0) > 0.0;
  std::vector<std::uint64_t> variations;
  for (std::size_t i = 0; i < plan.task.prompts.size(); ++i) {
    result.seeds.push_back(varies ? seed : seed + i);
    variations.push_back(sampling.variation_seed.value_or(0) + i);
    result.infotexts.push_back(state_->infotext(request, plan, result.seeds.back(), variations.back()));
  }
  result.warnings = plan.warnings;
  result.rewrite = request.rewrite;
  if (state_->log) {
    state_->log(LogLevel::info, "[pipeline] pictures: " + std::to_string(result.seeds.size()) + ", " +
                                    size_text(plan.task) + ", " + std::to_string(plan.task.steps) +
                                    " steps of " + sampling.sampler.value_or(state_->info.sampler) +
                                    ", seed " + std::to_string(seed));
    for (const auto& lora : model.loras())
      if (!lora.at_load) state_->log(LogLevel::info, lora_text(lora));
    for (const auto& warning : result.warnings) state_->log(LogLevel::warning, warning);
  }

  auto before = std::chrono::steady_clock::now();
  Step step;
  Tensor<float> guess;
  const Task* task = &plan.task;
  Index done = 0, total = 0;  // of both passes' calls; 0: there is one
  if (plan.second)
    total = calls_of(plan.task, model.family(), model.components()) +
            calls_of(*plan.second, model.family(), model.components());
  step.decode = [&](Index n) {
    const auto latents = guess.slice(n, n + 1);
    if (latents.rank() == 5) {
      const auto first = latents[0].slice(0, 1);
      return film_preview(context, model, *task,
                          first.reshape({1, 1, first.dim(1), first.dim(2), first.dim(3)}),
                          request.output.preview.get())
          .front();
    }
    const auto* small = request.output.preview.get();
    return to_image(small ? small->decode(context, small->info().from_model(latents))
                          : model.decode(context, latents, *task));
  };
  step.decode_film = [&](Index n) {
    if (guess.rank() != 5) return std::vector<Image>{step.decode(n)};
    return film_preview(context, model, *task, guess.slice(n, n + 1), request.output.preview.get());
  };
  const auto report = [&](const DenoisingStep& progress) {
    const auto now = std::chrono::steady_clock::now();
    step.index = static_cast<int>(done + progress.index);
    step.total = static_cast<int>(total == 0 ? progress.total : total);
    step.timestep = progress.timestep;
    step.seconds = std::chrono::duration<double>(now - before).count();
    step.latents = progress.latents;
    guess = progress.pred_original_sample.empty() ? progress.latents : progress.pred_original_sample;
    const bool go_on = request.on_step(step);
    step.latents = guess = {};  // their memory is the next step's
    if (!go_on) throw Cancelled(pipeline_name, "the step callback stopped the run");
    before = std::chrono::steady_clock::now();  // the callback's own time is not a step's
  };
  // Each pass draws as a run of its own, its decoder included.
  std::optional<RunNoise> noise;
  const auto pass = [&](const Task& own) {
    task = &own;
    noise.emplace(sampling, result.seeds, variations);
    auto conditions = model.condition(context, own, *model.guider(own));
    return model.denoise(context, own, std::move(conditions), noise->varied,
                         request.on_step ? report : StepObserver());
  };
  try {
    auto latents = pass(plan.task);
    if (plan.second) {
      done = calls_of(plan.task, model.family(), model.components());
      begin_with(context, *request.hires, model, plan.task, latents, *plan.second);
      latents = pass(*plan.second);
    }
    std::vector<Tensor<float>> decoded;
    const auto lease = model.components().autoencoder->lease();
    const bool films = latents.rank() == 5;
    if (films) deliver_films(context, model, *task, latents, noise->varied, request, result);
    for (Index n = 0; !films && n < latents.dim(0); ++n) {
      auto picture = model.decode(context, latents.slice(n, n + 1), *task);
      result.images.push_back(canvas.finished(to_image(picture)));
      if (request.output.decoded) decoded.push_back(std::move(picture));
    }
    if (!decoded.empty()) result.decoded = concat_leading<float>(decoded);
    if (request.output.latents) result.latents = std::move(latents);
  } catch (const NumericError& error) {
    for (const auto& part : model.family().parts)
      if (part.name == error.who() && state_->source.find(part.name))
        throw with_faulty_weights(error, state_->source.part(part.name));
    throw;
  }
  return result;
}

RunOutline Pipeline::outline(const Request& given) const {
  const auto named = with_named_loras(given, [this](std::string_view name) { return lora(name); });
  const auto model = state_->models.with(named.loras, state_->context(named.stop, named.profile));
  const auto canvas =
      Canvas::of(interpolated(named, model), model.format().space_ratio * model.denoiser().side_multiple,
                 model.default_size());
  const auto plan = state_->plan_of(canvas, model);
  check_task(plan.task, model.family(), model.components());
  const auto& last = plan.second ? *plan.second : plan.task;
  auto steps = calls_of(plan.task, model.family(), model.components());
  if (plan.second) steps += calls_of(*plan.second, model.family(), model.components());
  return {.width = last.width,
          .height = last.height,
          .steps = static_cast<int>(steps),
          .count = plan.task.prompts.size()};
}

Expected<Result> Pipeline::try_generate(const Request& request) const noexcept {
  return attempt([&] { return generate(request); });
}

std::uint64_t Pipeline::State::film_memory() const {
  if (memory_limit == 0) return available_memory().value_or(0);
  return std::max<std::uint64_t>(1, memory_for_decoding(memory_limit, info, {}).value_or(0));
}

/// What networks beside the model are loaded with: kept and computed as the denoiser is.
LoadContext Pipeline::State::adapter_context() const {
  const bool mapped = info.weights == WeightStorage::mapped;
  LoadContext result{.compute = {.engine = engine, .threads = threads, .pool = {}, .stop = {}, .profile = {}},
                     .precision = info.precision,
                     .allow_trailing_bytes = allow_trailing_bytes,
                     .log = log};
  result.keeping.placement = mapped ? ops::WeightPlacement::mapped : ops::WeightPlacement::packed;
  result.compute.placement = result.keeping.placement;
  return result;
}

std::shared_ptr<const Control> Pipeline::load_control(const std::filesystem::path& path) const {
  return daguerre::load_control(path, state_->models.plain(), state_->adapter_context());
}

Expected<std::shared_ptr<const Control>> Pipeline::try_load_control(
    const std::filesystem::path& path) const noexcept {
  return attempt([&] { return load_control(path); });
}

std::shared_ptr<const ImageEncoder> Pipeline::load_image_encoder(const std::filesystem::path& folder) const {
  return naming(folder, [&] { return daguerre::load_image_encoder(folder, state_->adapter_context()); });
}

std::shared_ptr<const IpAdapter> Pipeline::load_ip_adapter(
    const std::filesystem::path& file, std::shared_ptr<const ImageEncoder> encoder) const {
  return naming(
      file, [&] { return daguerre::load_ip_adapter(file, std::move(encoder), state_->adapter_context()); });
}

const PipelineInfo& Pipeline::info() const noexcept {
  return state_->info;
}
const Model& Pipeline::model() const noexcept {
  return state_->models.plain();
}
std::shared_ptr<const Lora> Pipeline::lora(std::string_view name) const {
  if (!state_->find_lora)
    throw ArgumentError(lora_name, "there is no LoRA " + in_quotes(name) + ": no folder of LoRAs was given");
  auto lora = state_->find_lora(name);
  if (lora == nullptr) throw ArgumentError(lora_name, "there is no LoRA " + in_quotes(name));
  return lora;
}
std::vector<LoraInfo> Pipeline::prepare(const std::vector<LoraUse>& loras) const {
  auto result = state_->models.with(loras, state_->context()).loras();
  std::erase_if(result, [](const LoraInfo& lora) { return lora.at_load; });
  return result;
}
std::int32_t Pipeline::class_id(std::string_view name) const {
  return state_->class_names.find(name);
}

}  // namespace daguerre

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <set>

#include <nlohmann/json.hpp>

#include "conformance/case.hpp"
#include "conformance/pipeline_inputs.hpp"
#include "daguerre/media/image.hpp"
#include "daguerre/ops/rearrange.hpp"
#include "daguerre/pipeline/model.hpp"
#include "daguerre/samplers/registry.hpp"

/// Whole pipelines: a model folder and its recorded runs.
namespace daguerre::conformance {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

/// As diffusers treats a tensor: values below zero mean that it is in [-1, 1] already.
Tensor<float> normalised(Tensor<float> image) {
  if (std::any_of(image.span().begin(), image.span().end(), [](float v) { return v < 0.0f; })) return image;
  for (float& value : image.span()) value = 2.0f * value - 1.0f;
  return image;
}

std::shared_ptr<const samplers::Sampler> sampler_of(const Config& config) {
  return samplers::SamplerRegistry::standard().make(
      Config::parse(config.json("scheduler").value(), config.source() + ", scheduler"));
}

/// Compares what a run shows with what was recorded.
class Comparison {
 public:
  Comparison(const Recorded& run, double bound, FilmOrder order) : run_(run), bound_(bound), order_(order) {}
  /// A run of LTXConditionPipeline: it hands the negative of the prediction to its sampler, and does not keep
  /// what that makes of tokens whose strength holds them back, which are recorded all the same.
  void expect_held_tokens() { holds_tokens_ = true; }

  /// Where the reference carried both halves of a guided batch along, which are the same, so does this; where
  /// it has tokens of 2 x 2 latents, so has this.
  void compare(const std::string& name, Tensor<float> actual) {
    if (!run_.has(name)) return;
    const auto expected =
        actual.rank() == 5 ? film_like(run_, name, actual.shape(), order_) : run_.tensor(name);
    // The first frames, where they were decoded chunk by chunk.
    if (actual.rank() == 5 && expected.rank() == 4 && expected.dim(0) < actual.dim(1))
      actual = actual[0].slice(0, expected.dim(0));
    if (expected.rank() == 3 && actual.rank() == 4)
      actual = ops::patchify({}, actual, 2, ops::PatchOrder::channels_rows_columns);
    if (actual.rank() > 0 && expected.dim(0) == 2 * actual.dim(0))
      actual = concat_leading<float>(std::array{actual, actual});
    result.checks.push_back({name, test::difference(actual, expected), bound_});
  }
  /// What a sampler was given or gave, at that time.
  void compare_step(const std::string& name, Tensor<float> actual, float timestep) {
    if (!holds_tokens_ || !run_.has(name)) return compare(name, actual);
    const auto expected = film_like(run_, name, actual.shape(), order_);
    const auto told = run_.tensor("mid.model_in.timestep");  // at the first call, where none is lower
    const Index tokens = told.dim(1), channels = actual.size() / tokens;
    const float sign = name.starts_with("mid.model_output") ? -1.0f : 1.0f;
    for (Index i = 0; i < actual.size(); ++i) {
      const bool held = tokens > 1 && told.span()[static_cast<std::size_t>(i / channels)] < timestep - 1e-3f;
      actual.data()[i] = held ? expected.span()[static_cast<std::size_t>(i)] : actual.data()[i] * sign;
    }
    result.checks.push_back({name, test::difference(actual, expected), bound_});
  }
  StepObserver on_step() {
    return [this](const DenoisingStep& step) {
      timesteps_.push_back(step.timestep);
      // `latents.i` is what the sampler made of step i - 1, before anything is put back into it.
      compare_step("latents." + std::to_string(step.index + 1), step.stepped, step.timestep);
      last_ = step.stepped;
      if (step.index == 0) compare_step("mid.model_output.0", step.model_output, step.timestep);
    };
  }
  /// The states that prompts were brought to, in the order of diffusers' encode_prompt: states, negative
  /// states, and where there are, the same of the vectors; of some models states and vectors, or states and
  /// masks.
  void compare_conditions(const std::vector<Conditions>& conditions, const std::string& family) {
    const auto all = [&](const auto& get) {
      std::vector<Tensor<float>> parts;
      for (const auto& condition : conditions)
        if (const Tensor<float> tensor = get(condition); !tensor.empty()) parts.push_back(tensor);
      return parts.empty() ? Tensor<float>() : concat_leading<float>(parts);
    };
    const auto negative = [](const Conditions& condition) {
      return condition.negative.value_or(Conditioning());
    };
    if (const auto states = all([](const auto& c) { return c.positive.context; }); !states.empty()) {
      // Some pipelines return both halves as one.
      if (run_.has("mid.encode_prompt.0") && run_.tensor("mid.encode_prompt.0").dim(0) == states.dim(0))
        compare("mid.encode_prompt.0", states);
    }
    const auto negative_states = all([&](const auto& c) { return negative(c).context; });
    const auto pooled = all([](const auto& c) { return c.positive.pooled; });
    std::vector<std::pair<int, Tensor<float>>> others;
    if (family.starts_with("flux"))
      others = {{1, pooled}};
    else if (family.starts_with("hunyuan-video"))
      others = {{1, pooled}, {2, all([](const auto& c) { return c.positive.mask; })}};
    else if (family.starts_with("pixart") || family.starts_with("ltx"))
      others = {{1, all([](const auto& c) { return c.positive.mask; })},
                {2, negative_states},
                {3, all([&](const auto& c) { return negative(c).mask; })}};
    else
      others = {
          {1, negative_states}, {2, pooled}, {3, all([&](const auto& c) { return negative(c).pooled; })}};
    for (const auto& [index, tensor] : others)
      if (!tensor.empty()) compare("mid.encode_prompt." + std::to_string(index), tensor);
  }
  /// `decoded` are pictures around [-1, 1].
  void finish(const Tensor<float>& latents, const Tensor<float>& decoded) {
    const auto count = static_cast<Index>(timesteps_.size());
    result.checks.push_back(
        {"timesteps", test::difference(Tensor<float>::copy_of({count}, timesteps_), run_.tensor("timesteps")),
         0.0});
    compare_step("out.latents", last_, timesteps_.back());
    if (run_.has("out.frames"))
      result.checks.push_back({"out.frames",
                               test::difference(denormalise(decoded), run_.file().read<float>("out.frames")),
                               bound_});
    if (run_.has("out.latent_frames") &&
        film_like(run_, "out.latent_frames", latents.shape(), order_).shape() == latents.shape())
      compare("out.latent_frames", latents);
    if (!run_.has("out.image")) return;
    const auto expected = run_.file().read<float>("out.image");
    // Pictures are recorded channels last, unlike everything else; a run may end in latents.
    if (expected.dim(-1) == decoded.dim(-1) && expected.dim(1) == decoded.dim(1))
      result.checks.push_back({"out.image", test::difference(denormalise(decoded), expected), bound_});
    else
      compare("out.image", latents);
  }
  void compare_unscaled(const Tensor<float>& unscaled) { compare("mid.vae_decode_input", unscaled); }

  Result result;

 private:
  const Recorded& run_;
  double bound_;
  FilmOrder order_;
  bool holds_tokens_ = false;
  std::vector<float> timesteps_;
  Tensor<float> last_;
};

/// Strings of an argument that is one, a list of one for each, or null; nullopt where there is none.
std::vector<std::optional<std::string>> texts(const Json& arguments, const char* key, std::size_t count) {
  const auto value = arguments.value(key, Json());
  if (value.is_null()) return std::vector<std::optional<std::string>>(count);
  const auto list = value.is_string() ? std::vector<std::string>(count, value.get<std::string>())
                                      : value.get<std::vector<std::string>>();
  return {list.begin(), list.end()};
}

std::optional<Extent> extent(const Json& arguments, const char* key) {
  const auto value = arguments.value(key, Json());
  if (value.is_null()) return std::nullopt;
  return Extent{value.at(0).get<Index>(), value.at(1).get<Index>()};
}

void set_prompts(const Json& arguments, Task& task) {
  if (arguments.contains("class_labels")) {
    for (const auto label : arguments.at("class_labels").get<std::vector<std::int32_t>>())
      task.prompts.push_back({.label = label});
    return;
  }
  if (!arguments.contains("prompt")) {
    task.prompts.resize(arguments.value("batch_size", std::size_t{1}));
    return;
  }
  const auto prompt = arguments.at("prompt");
  const std::size_t count = prompt.is_array() ? prompt.size() : 1;
  const auto first = texts(arguments, "prompt", count), second = texts(arguments, "prompt_2", count),
             third = texts(arguments, "prompt_3", count),
             negative = texts(arguments, "negative_prompt", count),
             negative_2 = texts(arguments, "negative_prompt_2", count),
             negative_3 = texts(arguments, "negative_prompt_3", count);
  const auto copies = arguments.value("num_images_per_prompt", std::size_t{1});
  for (std::size_t i = 0; i < count; ++i)
    task.prompts.insert(task.prompts.end(), copies,
                        {.text = first.at(i).value_or(""),
                         .text_2 = second.at(i),
                         .text_3 = third.at(i),
                         .negative = negative.at(i),
                         .negative_2 = negative_2.at(i),
                         .negative_3 = negative_3.at(i),
                         .label = {}});
}

void set_micro_conditioning(const Json& arguments, Task& task) {
  auto& micro = task.micro;
  micro.original_size = extent(arguments, "original_size");
  micro.crop_top_left = extent(arguments, "crops_coords_top_left").value_or(Extent{0, 0});
  micro.target_size = extent(arguments, "target_size");
  micro.negative_original_size = extent(arguments, "negative_original_size");
  micro.negative_crop_top_left = extent(arguments, "negative_crops_coords_top_left");
  micro.negative_target_size = extent(arguments, "negative_target_size");
  micro.aesthetic_score = arguments.value("aesthetic_score", micro.aesthetic_score);
  micro.negative_aesthetic_score =
      arguments.value("negative_aesthetic_score", micro.negative_aesthetic_score);
}

/// The picture or latents that a run begins with; four channels are latents, for this model.
void set_inputs(const Recorded& run, const Model& model, bool controlled, Task& task) {
  if (run.has("in.latents")) task.latents = run.tensor("in.latents");
  if (run.has("in.mask_image")) task.mask = run.tensor("in.mask_image");
  if (controlled && !run.has("in.control_image")) return;  // the picture is the control's
  if (run.has("in.control_image") && !controlled)
    task.image = run.tensor("in.control_image");  // taken as it is
  if (!run.has("in.image")) return;
  if (model.family().tasks.references) {
    task.reference = normalised(run.tensor("in.image"));
    return;
  }
  if (enlarges(model.family().tasks.joins)) {
    // Some pipelines take pictures as they are, others those of [0, 1], as diffusers treats tensors.
    const bool pixels = model.family().part(Part::Kind::autoencoder) == nullptr;
    const auto small = run.tensor("in.image");
    task.low_resolution = pixels ? small : normalised(small);
    if (!pixels) {
      task.height = small.dim(1) * model.format().space_ratio;
      task.width = small.dim(2) * model.format().space_ratio;
    }
    if (!run.has("in.original_image")) return;
    task.image = run.tensor("in.original_image");
    task.height = task.image.dim(1);
    task.width = task.image.dim(2);
    return;
  }
  // A model that works in pixels takes them as they are.
  const bool pixels = model.family().part(Part::Kind::autoencoder) == nullptr;
  const auto image = run.tensor("in.image");
  if (pixels) {
    task.image = image;
    task.height = image.dim(1);
    task.width = image.dim(2);
    return;
  }
  (image.dim(-1) == 3 ? task.image : task.image_latents) = image.dim(-1) == 3 ? normalised(image) : image;
  const Index ratio = image.dim(-1) == 3 ? 1 : model.format().space_ratio;
  task.height = image.dim(1) * ratio;
  task.width = image.dim(2) * ratio;
}

Task task_for(const Config& config, const Model& model, const Controls& controls, const Recorded& run) {
  static const std::set<std::string> known{"prompt",
                                           "prompt_2",
                                           "prompt_3",
                                           "negative_prompt",
                                           "negative_prompt_2",
                                           "negative_prompt_3",
                                           "max_sequence_length",
                                           "true_cfg_scale",
                                           "class_labels",
                                           "batch_size",
                                           "height",
                                           "width",
                                           "guidance_scale",
                                           "image_guidance_scale",
                                           "num_inference_steps",
                                           "eta",
                                           "clip_skip",
                                           "strength",
                                           "noise_level",
                                           "timesteps",
                                           "guidance_rescale",
                                           "num_images_per_prompt",
                                           "output_type",
                                           "use_clipped_model_output",
                                           "denoising_start",
                                           "denoising_end",
                                           "original_size",
                                           "crops_coords_top_left",
                                           "target_size",
                                           "negative_original_size",
                                           "negative_crops_coords_top_left",
                                           "negative_target_size",
                                           "aesthetic_score",
                                           "negative_aesthetic_score",
                                           "image",
                                           "control_image",
                                           "controlnet_conditioning_scale",
                                           "control_guidance_start",
                                           "control_guidance_end",
                                           "guess_mode",
                                           "control_mode",
                                           "adapter_conditioning_scale",
                                           "adapter_conditioning_factor",
                                           "max_area",
                                           "freeu",
                                           "ip_adapter",
                                           "ip_adapter_image",
                                           "ip_adapter_scale",
                                           "_auto_resize",
                                           "use_resolution_binning",
                                           "clean_caption"};
  const auto arguments = Json::parse(config.json("args").value());
  for (const auto& [key, value] : arguments.items())
    if (!known.contains(key) && !(model.denoiser().films && film_arguments().contains(key)))
      throw ConfigError("conformance", "argument \"" + key + "\" is not supported");
  // What the reference would do before the run, and was told not to.
  for (const char* key : {"_auto_resize", "use_resolution_binning", "clean_caption"})
    if (arguments.value(key, false))
      throw ConfigError("conformance", std::string("argument \"") + key + "\" is not supported");
  const auto& defaults = model.family().defaults;
  Task task;
  set_prompts(arguments, task);
  set_micro_conditioning(arguments, task);
  task.height = model.default_size()[0];
  task.width = model.default_size()[1];
  if (!model.denoiser().films) {
    set_inputs(run, model, !controls.empty(), task);
    set_controls(config, arguments, run, controls, task);
  }
  // This class takes the size of the film that it is given.
  if (config.get("pipeline", "") == "VideoToVideoSDPipeline") {
    const auto film = run.tensor("in.video");
    task.height = film.dim(1) / 8 * 8;
    task.width = film.dim(2) / 8 * 8;
  }
  task.height = arguments.value("height", task.height);
  task.width = arguments.value("width", task.width);
  task.steps = arguments.value("num_inference_steps", model.family().name == "ddpm" ? 1000 : defaults.steps);
  if (const auto given = arguments.value("timesteps", Json()); !given.is_null()) {
    task.timesteps = given.get<std::vector<double>>();
    task.steps = static_cast<int>(task.timesteps.size());
  }
  if (arguments.contains("noise_level")) task.noise_level = arguments.at("noise_level").get<int>();
  task.guidance = {.scale = arguments.value("guidance_scale", defaults.guidance_scale),
                   .rescale = arguments.value("guidance_rescale", 0.0f),
                   .image_scale = arguments.value("image_guidance_scale", 1.5f),
                   .true_cfg_scale = arguments.value("true_cfg_scale", 1.0f)};
  if (model.denoiser().films) set_film(arguments, run, model, controls, task);
  task.sequence_length = arguments.value("max_sequence_length", Index{0});
  // A run that was given an eta and drew no noise was made by a step function that eta did not reach.
  task.eta = run.names_below("noise.step.").empty() ? 0.0 : arguments.value("eta", 0.0);
  task.use_clipped_model_output = arguments.value("use_clipped_model_output", false);
  task.clip_skip = arguments.value("clip_skip", Json()).is_null() ? 0 : arguments.at("clip_skip").get<int>();
  task.strength = arguments.value("strength", task.mask.empty() ? defaults.strength : defaults.mask_strength);
  if (arguments.contains("denoising_start"))
    task.denoising_start = arguments.at("denoising_start").get<double>();
  if (arguments.contains("denoising_end")) task.denoising_end = arguments.at("denoising_end").get<double>();
  task.sampler = sampler_of(config);
  if (arguments.contains("freeu")) {
    const auto& free_u = arguments.at("freeu");
    task.free_u = models::FreeU{free_u.at("b1"), free_u.at("b2"), free_u.at("s1"), free_u.at("s2")};
  }
  return task;
}

bool has_class(const Family& family, const std::string& name) {
  return std::any_of(family.classes.begin(), family.classes.end(),
                     [&](const PipelineClass& pipeline) { return pipeline.name == name; });
}

bool is_known_class(const std::string& name, const std::string& source) {
  try {
    (void)FamilyRegistry::standard().of_class(name, source);
    return true;
  } catch (const ConfigError&) {
    return false;
  }
}

/// The same parts under another pipeline's name.
ModelSource as_class(const ModelSource& source, const std::string& name) {
  ModelSource result(source.name(), source.index().with(Json{{"_class_name", name}}.dump()));
  const auto index = Json::parse(source.index().dump());
  for (const auto& [part, value] : index.items())
    if (value.is_array())
      if (const auto found = source.find(part)) result = result.with(*found);
  return result;
}

/// Throws ConfigError for a run of a pipeline class that is none of the model's family, but for what a run of
/// the refiner's folder was made with.
void check_class(const Config& config, const Model& model) {
  const auto name = config.get("pipeline", "");
  for (const auto& pipeline : model.family().classes)
    if (pipeline.name == name) return;
  throw ConfigError("conformance", "pipeline " + name);
}

/// What the reference was given in the place of prompts: states, vector and mask.
std::vector<Conditions> given_conditions(const Recorded& run) {
  const auto side = [&](const std::string& prefix) {
    const auto tensor = [&](const char* name) {
      return run.has("in." + prefix + name) ? run.tensor("in." + prefix + name) : Tensor<float>();
    };
    Conditioning result;
    result.context = tensor("prompt_embeds");
    result.pooled = tensor("pooled_prompt_embeds");
    result.mask = tensor("prompt_attention_mask");
    return result;
  };
  Conditions conditions;
  conditions.positive = side("");
  if (run.has("in.negative_prompt_embeds")) conditions.negative = side("negative_");
  return {conditions};
}

Result run_recorded(const ops::Context& context, const Model& model, const Controls& controls,
                    const Config& config, const Recorded& run, const fs::path& folder) {
  check_class(config, model);
  auto task = task_for(config, model, controls, run);
  task.image_prompts = image_prompts(folder, config, run, context);
  const auto scheduler = Config::parse(config.json("scheduler").value(), config.source());
  Comparison comparison(run, scheduler.get("rescale_betas_zero_snr", false) ? 2e-4 : 1e-4,
                        model.family().order);
  if (config.get("pipeline", "") == "LTXConditionPipeline") comparison.expect_held_tokens();
  const auto conditions = run.has("in.prompt_embeds") ? given_conditions(run)
                                                      : model.condition(context, task, *model.guider(task));
  comparison.compare_conditions(conditions, model.family().name);
  RecordedNoise noise(run);
  if (config.get("pipeline", "") == "LTXConditionPipeline")
    if (auto before = noise_before_mixing(context, run, model, task); !before.empty())
      noise.replace_first(NoiseStreams::Use::initial, std::move(before));
  const auto latents = model.denoise(context, task, conditions, noise, comparison.on_step());
  // Where the reference gave latents it drew nothing for a decoder.
  const bool decodes = config.get("output_type", "") != "latent";
  comparison.finish(latents, model.decode(context, latents, task, decodes ? &noise : nullptr));
  // Decoders that are told how much noise there is were given some more.
  if (task.film.decode_timestep == 0.0f)
    comparison.compare_unscaled(model.format_of(task).from_model(latents));
  return comparison.result;
}

/// The folder beside this one that a run was made with, where its note says so: "run with the sdxl folder".
std::string other_folder(const Config& config) {
  const std::string note = config.optional_string("note").value_or(""), start = "run with the ",
                    end = " folder";
  if (!note.starts_with(start) || !note.ends_with(end)) return {};
  return note.substr(start.size(), note.size() - start.size() - end.size());
}

/// The part that a run was made without, where its note says so: "text_encoder_3 absent: …".
std::string absent_part(const Config& config) {
  const std::string note = config.optional_string("note").value_or("");
  const auto end = note.find(" absent: ");
  return end == note.npos ? "" : note.substr(0, end);
}

/// A model folder, or one whose base.json names the folder that it replaces parts of.
ModelSource source_of(const fs::path& folder) {
  if (!fs::exists(folder / "base.json")) return ModelSource::open_folder(folder);
  const auto note = Config::load(folder / "base.json");
  const auto base = ModelSource::open_folder(folder / note.get("base", ""));
  std::string class_name = base.class_name();
  for (const auto& entry : fs::directory_iterator(folder / "runs"))
    if (entry.path().extension() == ".json") class_name = Config::load(entry.path()).get("pipeline", "");
  ModelSource result(folder.filename().string(), base.index().with(Json{{"_class_name", class_name}}.dump()));
  const auto index = Json::parse(base.index().dump());
  for (const auto& [name, value] : index.items()) {
    if (!value.is_array()) continue;
    auto part = base.find(name);
    if (!part) continue;
    if (fs::exists(folder / name)) {
      part->folder = folder / name;
      // It may be of another class than the one that it replaces.
      const auto config = folder / name / "config.json";
      const auto own = fs::exists(config) ? Config::load(config).class_name() : "";
      if (!own.empty()) part->class_name = own;
    }
    result = result.with(*part);
  }
  return result;
}

}  // namespace

std::vector<Result> run_pipeline(const fs::path& folder, const Options& options) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder / "runs"))
    if (entry.path().extension() == ".json") files.push_back(entry.path());
  std::sort(files.begin(), files.end());

  const std::string area = fs::absolute(folder).lexically_normal().parent_path().filename().string() + "/" +
                           fs::absolute(folder).lexically_normal().filename().string() + ":";
  std::vector<Result> results;
  const auto context = options.context();
  std::optional<Model> model;
  Controls controls;
  std::string unsupported =
      options.precision == Precision::float32
          ? ""
          : "no bound is defined for whole pipelines in " + std::string(short_name(options.precision));
  for (const auto& file : files) {
    const auto name = area + file.stem().string();
    Result result;
    try {
      if (!unsupported.empty()) throw ConfigError("conformance", unsupported);
      const auto load_source = [&](const ModelSource& source) {
        return Model::load(source, {.compute = context, .dialect = text::ClipDialect::openai});
      };
      const auto load = [&](const fs::path& from) { return load_source(source_of(from)); };
      const auto config = Config::load(file);
      const Recorded run(fs::path(file).replace_extension(".safetensors"));
      const auto pipeline = config.get("pipeline", "");
      if (const auto other = other_folder(config); !other.empty()) {
        result = run_recorded(context, load(folder.parent_path() / other), {}, config, run, folder);
      } else if (const auto absent = absent_part(config); !absent.empty()) {
        result =
            run_recorded(context, load_source(source_of(folder).without(absent)), {}, config, run, folder);
      } else {
        if (!model) {
          model = load(folder);
          controls = controls_in(folder, *model, {.compute = context});
        }
        // The same parts may serve a pipeline of another family.
        std::optional<Model> other;
        if (model->denoiser().films && !has_class(model->family(), pipeline) &&
            is_known_class(pipeline, config.source()))
          other = load_source(as_class(source_of(folder), pipeline));
        result = run_recorded(context, other ? *other : *model, controls, config, run, folder);
      }
    } catch (const ConfigError& error) {
      result.unsupported = error.what();
    } catch (const std::exception& error) {
      constexpr double infinity = std::numeric_limits<double>::infinity();
      result.checks = {{std::string("exception: ") + error.what(), {infinity, infinity}, 0.0}};
    }
    result.name = name;
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace daguerre::conformance

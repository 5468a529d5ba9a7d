#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <set>

#include <nlohmann/json.hpp>

#include "conformance/case.hpp"
#include "daguerre/pipeline/ddpm_pipeline.hpp"
#include "daguerre/pipeline/dit_pipeline.hpp"
#include "daguerre/pipeline/image.hpp"
#include "daguerre/pipeline/stable_diffusion.hpp"
#include "daguerre/samplers/registry.hpp"

/// Whole pipelines: a model folder and its recorded runs.
namespace daguerre::conformance {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

/// Replays the noise that the reference drew.
class RecordedNoise final : public NoiseStreams {
 public:
  explicit RecordedNoise(const Recorded& run) : run_(run) {}
  Tensor<float> draw(Use use, const Shape& shape) override {
    const std::string kind = use == Use::initial ? "init" : use == Use::autoencoder ? "vae" : "step";
    auto& index = next_[static_cast<std::size_t>(use)];
    // A step that draws nothing leaves a gap in the numbers.
    while (index < 1000 && !run_.has("noise." + kind + "." + std::to_string(index))) ++index;
    if (index == 1000)
      throw ArgumentError("conformance", "more noise." + kind + " is drawn than was recorded");
    auto noise = run_.tensor("noise." + kind + "." + std::to_string(index++));
    if (!(noise.shape() == shape))
      throw ArgumentError("conformance", "noise." + kind + " is " + to_string(noise.shape()) +
                                             ", asked for " + to_string(shape));
    return noise;
  }

 private:
  const Recorded& run_;
  std::array<int, 3> next_{};
};

std::vector<std::string> strings(const Json& value, std::size_t count) {
  if (value.is_null()) return std::vector<std::string>(count);
  if (value.is_string()) return std::vector<std::string>(count, value.get<std::string>());
  return value.get<std::vector<std::string>>();
}

/// As diffusers treats a tensor: values below zero mean that it is in [-1, 1] already.
Tensor<float> normalised(Tensor<float> image) {
  if (std::any_of(image.span().begin(), image.span().end(), [](float v) { return v < 0.0f; })) return image;
  for (float& value : image.span()) value = 2.0f * value - 1.0f;
  return image;
}

/// The call's arguments. Throws ConfigError for another pipeline class and for arguments that are not known.
Json arguments_of(const weights::Config& config, const std::set<std::string>& known_pipelines,
                  const std::set<std::string>& known_arguments) {
  const auto pipeline = config.get("pipeline", "");
  if (!known_pipelines.contains(pipeline)) throw ConfigError("conformance", "pipeline " + pipeline);
  auto arguments = Json::parse(config.json("args").value());
  for (const auto& [key, value] : arguments.items())
    if (!known_arguments.contains(key))
      throw ConfigError("conformance", "argument \"" + key + "\" is not supported");
  return arguments;
}

std::shared_ptr<const samplers::Sampler> sampler_of(const weights::Config& config) {
  return samplers::SamplerRegistry::standard().make(
      weights::Config::parse(config.json("scheduler").value(), config.source() + ", scheduler"));
}

/// Of what came out, [N, H, W, 3], whatever the arguments left out.
Shape picture_shape(const Recorded& run) {
  const auto shape = run.file().find("out.image")->shape;
  if (shape.rank() != 4 || shape[3] != 3)
    throw ConfigError("conformance", "a run that ends in latents is not supported");
  return shape;
}

/// The picture that a run begins with.
Tensor<float> picture_given(const Recorded& run) {
  const auto image = run.tensor("in.image");
  if (image.dim(-1) != 3) throw ConfigError("conformance", "a run that begins with latents is not supported");
  return normalised(image);
}

/// Compares what a run shows with what was recorded.
class Comparison {
 public:
  Comparison(const Recorded& run, double bound) : run_(run), bound_(bound) {}

  /// Where the reference carried both halves of a guided batch along, which are the same, so does this.
  void compare(const std::string& name, Tensor<float> actual) {
    if (!run_.has(name)) return;
    const auto expected = run_.tensor(name);
    if (actual.rank() > 0 && expected.dim(0) == 2 * actual.dim(0))
      actual = concat_leading<float>(std::array{actual, actual});
    result.checks.push_back({name, test::difference(actual, expected), bound_});
  }
  StepObserver on_step() {
    return [this](const DenoisingStep& step) {
      timesteps_.push_back(step.timestep);
      // `latents.i` is what the sampler made of step i - 1, before anything is put back into it.
      compare("latents." + std::to_string(step.index + 1), step.stepped);
      last_ = step.stepped;
      if (step.index == 0) compare("mid.model_output.0", step.model_output);
    };
  }
  /// `decoded` are pictures around [-1, 1].
  void finish(const Tensor<float>& decoded) {
    const auto count = static_cast<Index>(timesteps_.size());
    result.checks.push_back(
        {"timesteps", test::difference(Tensor<float>::copy_of({count}, timesteps_), run_.tensor("timesteps")),
         0.0});
    compare("out.latents", last_);
    // Pictures are recorded channels last, unlike everything else.
    result.checks.push_back(
        {"out.image", test::difference(denormalise(decoded), run_.file().read<float>("out.image")), bound_});
  }
  void compare_unscaled(const Tensor<float>& latents, const models::AutoencoderKlConfig& vae) {
    auto unscaled = latents.clone();
    for (float& value : unscaled.span()) value = value / vae.scaling_factor + vae.shift_factor;
    compare("mid.vae_decode_input", unscaled);
  }

  Result result;

 private:
  const Recorded& run_;
  double bound_;
  std::vector<float> timesteps_;
  Tensor<float> last_;
};

StableDiffusionTask task_for(const weights::Config& config, const Recorded& run) {
  const auto arguments = arguments_of(
      config, {"StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline", "StableDiffusionInpaintPipeline"},
      {"prompt", "negative_prompt", "height", "width", "guidance_scale", "num_inference_steps", "eta",
       "clip_skip", "strength", "guidance_rescale", "num_images_per_prompt", "output_type"});
  const auto pipeline = config.get("pipeline", "");
  StableDiffusionTask task;
  const auto prompt = arguments.value("prompt", Json());
  const auto copies = arguments.value("num_images_per_prompt", std::size_t{1});
  for (const auto& text : strings(prompt, 1)) task.prompts.insert(task.prompts.end(), copies, text);
  for (const auto& text : strings(arguments.value("negative_prompt", Json()), task.prompts.size() / copies))
    task.negative_prompts.insert(task.negative_prompts.end(), copies, text);
  task.steps = arguments.value("num_inference_steps", 50);
  task.guidance = {arguments.value("guidance_scale", 7.5f), arguments.value("guidance_rescale", 0.0f)};
  // A run that was given an eta and drew no noise was made by a step function that eta did not reach.
  task.eta = run.names_below("noise.step.").empty() ? 0.0 : arguments.value("eta", 0.0);
  task.clip_skip = arguments.value("clip_skip", Json()).is_null() ? 0 : arguments.at("clip_skip").get<int>();
  task.strength = arguments.value("strength", pipeline == "StableDiffusionImg2ImgPipeline" ? 0.8 : 1.0);
  if (run.has("in.latents")) task.latents = run.tensor("in.latents");
  if (run.has("in.image")) task.image = picture_given(run);
  if (run.has("in.mask_image")) task.mask = run.tensor("in.mask_image");
  const auto picture = picture_shape(run);
  task.height = picture[1];
  task.width = picture[2];
  return task;
}

using Runner = std::function<Result(const ops::Context&, const weights::Config& config, const Recorded& run)>;

Runner stable_diffusion(const fs::path& folder, const ops::Context& context) {
  const StableDiffusion model(
      load_stable_diffusion_networks(folder, context, Precision::float32, false, {}),
      text::ClipTokenizer::load(folder / "tokenizer", text::ClipDialect::openai));
  return [model](const ops::Context& run_context, const weights::Config& config, const Recorded& run) {
    auto task = task_for(config, run);
    task.sampler = sampler_of(config);
    const auto scheduler = weights::Config::parse(config.json("scheduler").value(), config.source());
    Comparison comparison(run, scheduler.get("rescale_betas_zero_snr", false) ? 2e-4 : 1e-4);
    comparison.compare("mid.encode_prompt.0",
                       model.encode_prompts(run_context, task.prompts, task.clip_skip));
    if (task.guidance.is_on())
      comparison.compare("mid.encode_prompt.1", model.encode_prompts(run_context, task.negative_prompts, 0));
    RecordedNoise noise(run);
    const auto made = model.run(run_context, task, noise, comparison.on_step());
    comparison.finish(made.decoded);
    comparison.compare_unscaled(made.latents, model.networks().autoencoder_config());
    return comparison.result;
  };
}

Runner dit(const fs::path& folder, const ops::Context& context) {
  const auto model = DiTPipeline::load(folder, context, Precision::float32, false, {});
  return [model](const ops::Context& run_context, const weights::Config& config, const Recorded& run) {
    const auto arguments =
        arguments_of(config, {"DiTPipeline"}, {"class_labels", "guidance_scale", "num_inference_steps"});
    DiTTask task;
    task.class_labels = arguments.at("class_labels").get<std::vector<std::int32_t>>();
    task.guidance.scale = arguments.value("guidance_scale", 4.0f);
    task.steps = arguments.value("num_inference_steps", 50);
    task.height = picture_shape(run)[1];
    task.width = picture_shape(run)[2];
    task.sampler = sampler_of(config);
    RecordedNoise noise(run);
    Comparison comparison(run, 1e-4);
    const auto made = model.run(run_context, task, noise, comparison.on_step());
    comparison.finish(made.decoded);
    comparison.compare_unscaled(made.latents, model.networks().autoencoder);
    return comparison.result;
  };
}

Runner ddpm(const fs::path& folder, const ops::Context& context) {
  const auto model = DDPMPipeline::load(folder, context, Precision::float32, false, {});
  return [model](const ops::Context& run_context, const weights::Config& config, const Recorded& run) {
    const auto arguments =
        arguments_of(config, {"DDPMPipeline", "DDIMPipeline"},
                     {"batch_size", "num_inference_steps", "eta", "use_clipped_model_output"});
    DDPMTask task;
    task.batch = arguments.value("batch_size", Index{1});
    task.steps = arguments.value("num_inference_steps", 1000);
    task.eta = arguments.value("eta", 0.0);
    task.use_clipped_model_output = arguments.value("use_clipped_model_output", false);
    task.height = picture_shape(run)[1];
    task.width = picture_shape(run)[2];
    task.sampler = sampler_of(config);
    RecordedNoise noise(run);
    Comparison comparison(run, 1e-4);
    comparison.finish(model.run(run_context, task, noise, comparison.on_step()));
    return comparison.result;
  };
}

Runner runner_for(const fs::path& folder, const ops::Context& context) {
  const auto name = weights::Config::load(folder / "model_index.json").class_name();
  if (name.starts_with("StableDiffusion") && !fs::exists(folder / "text_encoder_2"))
    return stable_diffusion(folder, context);
  if (name == "DiTPipeline") return dit(folder, context);
  if (name == "DDPMPipeline" || name == "DDIMPipeline") return ddpm(folder, context);
  throw ConfigError("conformance", "pipeline " + name);
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
  Runner runner;
  std::string unsupported =
      options.precision == Precision::float32
          ? ""
          : "no bound is defined for whole pipelines in " + std::string(short_name(options.precision));
  for (const auto& file : files) {
    const auto name = area + file.stem().string();
    Result result;
    try {
      if (!unsupported.empty()) throw ConfigError("conformance", unsupported);
      if (!runner) runner = runner_for(folder, context);
      result = runner(context, weights::Config::load(file),
                      Recorded(fs::path(file).replace_extension(".safetensors")));
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

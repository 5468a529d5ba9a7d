#include <cmath>
#include <tuple>

#include "daguerre/pipeline/stable_diffusion.hpp"
#include "pipeline/backend.hpp"
#include "pipeline/model_fit.hpp"

namespace daguerre {
namespace {

class StableDiffusionBackend final : public Backend {
 public:
  StableDiffusionBackend(StableDiffusion model, TokenRows rows)
      : model_(std::make_shared<const StableDiffusion>(std::move(model))), rows_(std::move(rows)) {}

  Plan plan(const GenerateOptions& options, std::shared_ptr<const samplers::Sampler> sampler) const override {
    refuse(!options.class_labels.empty() || !options.class_name.empty(), "Stable Diffusion", "class");
    const auto task = task_for(options, std::move(sampler));
    rows_.check(model_->tokenizer(), options.prompt, "prompt");
    if (task.guidance.is_on()) rows_.check(model_->tokenizer(), options.negative_prompt, "negative prompt");
    Plan result{.width = task.width, .height = task.height, .guidance = task.guidance.scale};
    if (!task.image.empty()) result.parameters.emplace_back("Denoising strength", number(task.strength));
    if (task.clip_skip > 0)  // there 1 means none
      result.parameters.emplace_back("Clip skip", std::to_string(task.clip_skip + 1));
    result.warnings = lost_words(options);
    if (auto warning = unusual_size(options, task); !warning.empty())
      result.warnings.push_back(std::move(warning));
    result.run = latent_run(model_, task);
    return result;
  }

  Tensor<float> decode(const ops::Context& context, const Tensor<float>& latents) const override {
    return model_->decode(context, latents);
  }
  std::pair<Index, Index> default_size() const noexcept override {
    const auto& unet = model_->networks().unet_config();
    const Index downscale = model_->networks().autoencoder_config().downscale();
    return {unet.sample_width * downscale, unet.sample_height * downscale};
  }
  std::vector<std::string> components() const override { return {"text_encoder", "unet", "vae"}; }

 private:
  StableDiffusionTask task_for(const GenerateOptions& options,
                               std::shared_ptr<const samplers::Sampler> sampler) const {
    const auto count = static_cast<std::size_t>(options.count);
    StableDiffusionTask task;
    task.prompts.assign(count, options.prompt);
    task.negative_prompts.assign(count, options.negative_prompt);
    std::tie(task.width, task.height) =
        size_of(options, model_->networks().autoencoder_config().downscale(), default_size());
    task.steps = options.steps;
    task.guidance = {options.guidance_scale.value_or(7.5f), options.guidance_rescale};
    task.eta = options.eta;
    task.clip_skip = options.clip_skip;
    task.latents = options.latents;
    task.sampler = std::move(sampler);
    if (task.width > 0 && task.height > 0 && task.width <= Image::max_side &&
        task.height <= Image::max_side) {
      if (!options.init_image.empty())
        task.image = picture_input(options.init_image, task.width, task.height);
      if (!options.mask_image.empty()) task.mask = mask_input(options.mask_image, task.width, task.height);
    }
    if (!std::isfinite(options.strength))
      throw ArgumentError("pipeline",
                          "strength is " + std::to_string(options.strength) + ", expected 0 to 1");
    task.strength = options.strength >= 0 ? options.strength : options.mask_image.empty() ? 0.8 : 1.0;
    return task;
  }

  /// A picture as cameras take it may set a size that nobody meant to ask for; empty otherwise.
  std::string unusual_size(const GenerateOptions& options, const StableDiffusionTask& task) const {
    constexpr Index usual = 4;  // times as many pixels as the model was trained at
    const bool from_picture =
        options.width == 0 && options.height == 0 && options.latents.empty() && !task.image.empty();
    const auto [width, height] = default_size();
    if (!from_picture || task.width * task.height <= usual * width * height) return {};
    const auto size = [](Index across, Index down) {
      return std::to_string(across) + " x " + std::to_string(down);
    };
    return "[pipeline] the size is that of the picture to start from, " + size(task.width, task.height) +
           ", the model was trained at " + size(width, height) +
           ": it takes long and things may come out twice; give a width or a height to scale it";
  }

  std::vector<std::string> lost_words(const GenerateOptions& options) const {
    std::vector<std::string> result;
    for (const auto* prompt : {&options.prompt, &options.negative_prompt}) {
      const auto lost = model_->tokenizer().window(*prompt).lost;
      if (lost.empty()) continue;
      result.push_back("[pipeline] the " +
                       std::string(prompt == &options.prompt ? "prompt" : "negative prompt") +
                       " is longer than " + std::to_string(model_->tokenizer().length() - 2) +
                       " tokens; these words are lost: " + lost);
    }
    return result;
  }

  std::shared_ptr<const StableDiffusion> model_;
  TokenRows rows_;
};

}  // namespace

std::unique_ptr<const Backend> load_stable_diffusion_backend(const BackendSource& source) {
  const auto part = source.model.part(
      "tokenizer", {"CLIPTokenizer", "CLIPTokenizerFast", "PreTrainedTokenizerFast", "TokenizersBackend"});
  auto tokenizer = text::ClipTokenizer::load(part.folder);
  const auto text_encoder = source.model.part("text_encoder");
  TokenRows rows(tokenizer, models::ClipTextConfig::from(text_encoder.config()), text_encoder.config_path());
  if (const auto warning = rows.warning(); warning && source.log) source.log(LogLevel::warning, *warning);
  if (source.log && source.model.find("safety_checker"))
    source.log(LogLevel::info, "[pipeline] the model's safety_checker is not run");
  auto networks = load_stable_diffusion_networks(source.model.path(), source.compute, source.precision,
                                                 source.allow_trailing_bytes, source.log);
  check_variance(source.scheduler, networks->autoencoder_config().latent_channels,
                 networks->unet_config().shape.out_channels, source.model.part("unet").config_path());
  return std::make_unique<StableDiffusionBackend>(StableDiffusion(std::move(networks), std::move(tokenizer)),
                                                  std::move(rows));
}

}  // namespace daguerre

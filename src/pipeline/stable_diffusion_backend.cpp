#include <tuple>

#include "daguerre/pipeline/stable_diffusion.hpp"
#include "pipeline/backend.hpp"

namespace daguerre {
namespace {

/// The picture for a run of that size, as floats in [-1, 1].
Tensor<float> picture_tensor(const Image& image, Index width, Index height) {
  return to_tensor(image.to_channels(3).resized(width, height));
}

/// White where to paint, 1 at 255, `[1, H, W, 1]`.
Tensor<float> mask_tensor(const Image& mask, Index width, Index height) {
  return to_unit_tensor(mask.to_channels(1).resized(width, height));
}

class StableDiffusionBackend final : public Backend {
 public:
  explicit StableDiffusionBackend(StableDiffusion model)
      : model_(std::make_shared<const StableDiffusion>(std::move(model))) {}

  Plan plan(const GenerateOptions& options, std::shared_ptr<const samplers::Sampler> sampler) const override {
    refuse(!options.class_labels.empty() || !options.class_name.empty(), "Stable Diffusion", "class");
    const auto task = task_for(options, std::move(sampler));
    Plan result{.width = task.width, .height = task.height, .guidance = task.guidance.scale};
    if (!task.image.empty()) result.parameters.emplace_back("Denoising strength", number(task.strength));
    if (task.clip_skip > 0)  // there 1 means none
      result.parameters.emplace_back("Clip skip", std::to_string(task.clip_skip + 1));
    result.warnings = lost_words(options);
    result.run = latent_run(model_, task);
    return result;
  }

  Tensor<float> decode(const ops::Context& context, const Tensor<float>& latents) const override {
    return model_->decode(context, latents);
  }
  Index default_side() const noexcept override {
    const auto& networks = model_->networks();
    return networks.unet_config().sample_size * networks.autoencoder_config().downscale();
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
        size_of(options, model_->networks().autoencoder_config().downscale(), default_side());
    task.steps = options.steps;
    task.guidance = {options.guidance_scale.value_or(7.5f), options.guidance_rescale};
    task.eta = options.eta;
    task.clip_skip = options.clip_skip;
    task.latents = options.latents;
    task.sampler = std::move(sampler);
    if (task.width > 0 && task.height > 0 && task.width <= Image::max_side &&
        task.height <= Image::max_side) {
      if (!options.init_image.empty())
        task.image = picture_tensor(options.init_image, task.width, task.height);
      if (!options.mask_image.empty()) task.mask = mask_tensor(options.mask_image, task.width, task.height);
    }
    task.strength = options.strength >= 0 ? options.strength : options.mask_image.empty() ? 0.8 : 1.0;
    return task;
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
};

}  // namespace

std::unique_ptr<const Backend> load_stable_diffusion_backend(const BackendSource& source) {
  auto tokenizer = text::ClipTokenizer::load(source.folder / "tokenizer");
  auto networks = load_stable_diffusion_networks(source.folder, source.compute, source.precision,
                                                 source.allow_trailing_bytes, source.log);
  return std::make_unique<StableDiffusionBackend>(StableDiffusion(std::move(networks), std::move(tokenizer)));
}

}  // namespace daguerre

#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daguerre/log.hpp"
#include "daguerre/models/autoencoder_kl.hpp"
#include "daguerre/models/clip_text.hpp"
#include "daguerre/models/unet_2d_condition.hpp"
#include "daguerre/pipeline/denoising.hpp"
#include "daguerre/pipeline/precision.hpp"
#include "daguerre/text/clip_tokenizer.hpp"

namespace daguerre {

/// The three networks of Stable Diffusion, whatever precision they run in. Tensors at this border are
/// float32.
class StableDiffusionNetworks {
 public:
  virtual ~StableDiffusionNetworks() = default;
  /// Token ids `[N, L]` to the states the U-Net looks at, `[N, L, D]`. `clip_skip` k > 0 takes the states k
  /// layers before the last and applies the final norm to them. `mask` as models::ClipText's.
  virtual Tensor<float> encode_text(const ops::Context& context, const Tensor<std::int32_t>& input_ids,
                                    int clip_skip, const Tensor<float>* mask = nullptr) const = 0;
  /// As models::UNet2DCondition.
  virtual Tensor<float> denoise(const ops::Context& context, const Tensor<float>& sample, float timestep,
                                const Tensor<float>& encoder_hidden_states) const = 0;
  /// As models::AutoencoderKl; unscaled latents.
  virtual models::LatentDistribution encode_image(const ops::Context& context,
                                                  const Tensor<float>& pictures) const = 0;
  virtual Tensor<float> decode_latents(const ops::Context& context, const Tensor<float>& latents) const = 0;

  virtual const models::ClipTextConfig& text_config() const noexcept = 0;
  virtual const models::UNet2DConditionConfig& unet_config() const noexcept = 0;
  virtual const models::AutoencoderKlConfig& autoencoder_config() const noexcept = 0;
};

/// What one run of `StableDiffusion` is to make, in tensors. The facade's GenerateOptions is the same in
/// pictures and seeds.
struct StableDiffusionTask {
  std::vector<std::string> prompts;           ///< one for each image of the batch
  std::vector<std::string> negative_prompts;  ///< likewise, or empty for none
  Index height = 512, width = 512;            ///< in pixels
  int steps = 50;
  Guidance guidance;
  double eta = 0.0;
  int clip_skip = 0;      ///< for the prompts only, as the reference has it
  Tensor<float> latents;  ///< initial noise `[N, h, w, C]` of unit variance; empty: drawn
  Tensor<float> image;    ///< `[1 or N, H, W, 3]` in [-1, 1] to start from; empty: text to image
  Tensor<float> mask;     ///< `[1 or N, H, W, 1]`, at least 0.5 where to paint; empty: the whole picture
  double strength = 1.0;  ///< how much of the run is done over `image`: 1 ignores it, 0 keeps it
  std::shared_ptr<const samplers::Sampler> sampler;
};

/// Stable Diffusion 1.x and 2.x: text to image, image to image, inpainting with nine-channel models and by
/// blending with four-channel ones (diffusers' StableDiffusionPipeline, StableDiffusionImg2ImgPipeline,
/// StableDiffusionInpaintPipeline). Immutable; safe to use from many threads, each with a context of its own.
class StableDiffusion {
 public:
  StableDiffusion(std::shared_ptr<const StableDiffusionNetworks> networks, text::ClipTokenizer tokenizer)
      : networks_(std::move(networks)), tokenizer_(std::move(tokenizer)) {}

  struct Result {
    Tensor<float> latents;  ///< `[N, h, w, C]`, scaled as the U-Net sees them
    Tensor<float> decoded;  ///< `[N, H, W, 3]`, about [-1, 1]
  };
  /// Throws ArgumentError for a task that is not possible, NumericError when a network's result is not
  /// finite, Cancelled, and whatever `on_step` throws.
  Result run(const ops::Context& context, const StableDiffusionTask& task, NoiseStreams& noise,
             const StepObserver& on_step = {}) const;

  /// `[N, L, D]`
  Tensor<float> encode_prompts(const ops::Context& context, const std::vector<std::string>& prompts,
                               int clip_skip) const;
  /// Pictures from scaled latents, one image at a time.
  Tensor<float> decode(const ops::Context& context, const Tensor<float>& latents) const;

  const StableDiffusionNetworks& networks() const noexcept { return *networks_; }
  const text::ClipTokenizer& tokenizer() const noexcept { return tokenizer_; }

 private:
  /// What the latents of the picture to start from contribute.
  struct Start;
  Start prepare(const ops::Context& context, const StableDiffusionTask& task, const samplers::SamplerRun& run,
                Index first_call, NoiseStreams& noise) const;
  Tensor<float> encode_image(const ops::Context& context, const Tensor<float>& image, Index batch,
                             NoiseStreams& noise) const;

  std::shared_ptr<const StableDiffusionNetworks> networks_;
  text::ClipTokenizer tokenizer_;
};

/// Loads the networks below `folder` (`text_encoder`, `unet`, `vae`) in `precision`. `log` is told
/// of tensors that nothing asked for. Throws what the loaders throw.
std::shared_ptr<const StableDiffusionNetworks> load_stable_diffusion_networks(
    const std::filesystem::path& folder, const ops::Context& compute,
    Precision precision, bool allow_trailing_bytes, const LogSink& log);

}  // namespace daguerre

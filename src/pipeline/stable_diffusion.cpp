#include "daguerre/pipeline/stable_diffusion.hpp"

#include <algorithm>
#include <array>
#include <span>

#include "daguerre/ops/elementwise.hpp"
#include "daguerre/ops/profile.hpp"
#include "daguerre/ops/resample.hpp"
#include "pipeline/latents.hpp"
#include "pipeline/name.hpp"

namespace daguerre {
namespace {

/// keep where the mask is 0, paint where it is 1; the mask is `[N, h, w, 1]`.
Tensor<float> blend(const Tensor<float>& keep, const Tensor<float>& paint, const Tensor<float>& mask) {
  const Index channels = paint.dim(3);
  Tensor<float> result(paint.shape());
  for (Index i = 0; i < result.size(); ++i) {
    const float m = mask.data()[i / channels];
    result.data()[i] = (1.0f - m) * keep.data()[i] + m * paint.data()[i];
  }
  return result;
}

/// One image's tensor for a whole batch.
Tensor<float> repeated(const Tensor<float>& x, Index batch) {
  if (x.dim(0) == batch) return x;
  return concat_leading<float>(std::vector<Tensor<float>>(static_cast<std::size_t>(batch), x));
}

void check_picture(const Tensor<float>& x, const StableDiffusionTask& task, Index channels,
                   const char* what) {
  const auto batch = static_cast<Index>(task.prompts.size());
  const bool fits = x.rank() == 4 && (x.dim(0) == 1 || x.dim(0) == batch) && x.dim(1) == task.height &&
                    x.dim(2) == task.width && x.dim(3) == channels;
  if (!fits)
    throw ArgumentError(pipeline_name, std::string(what) + " " + to_string(x.shape()) + ", expected [1 or " +
                                           std::to_string(batch) + ", " + std::to_string(task.height) + ", " +
                                           std::to_string(task.width) + ", " + std::to_string(channels) +
                                           "]");
}

void check(const StableDiffusionTask& task, const StableDiffusionNetworks& networks) {
  const Index multiple = networks.autoencoder_config().downscale();
  check_side("width", task.width, multiple);
  check_side("height", task.height, multiple);
  if (task.prompts.empty()) throw ArgumentError(pipeline_name, "there is no prompt");
  if (!task.negative_prompts.empty() && task.negative_prompts.size() != task.prompts.size())
    throw ArgumentError(pipeline_name, std::to_string(task.negative_prompts.size()) +
                                           " negative prompts for " + std::to_string(task.prompts.size()) +
                                           " prompts");
  check_run(task.steps, task.guidance, task.eta, task.sampler.get());
  if (!(task.strength >= 0.0 && task.strength <= 1.0))
    throw ArgumentError(pipeline_name, "strength is " + std::to_string(task.strength) + ", expected 0 to 1");
  if (!task.mask.empty() && task.image.empty())
    throw ArgumentError(pipeline_name, "a mask needs an image to paint into");
  if (!task.image.empty()) check_picture(task.image, task, 3, "image");
  if (!task.mask.empty()) check_picture(task.mask, task, 1, "mask");
  const Index in = networks.unet_config().shape.in_channels,
              latent = networks.autoencoder_config().latent_channels;
  if (in == 2 * latent + 1 && task.mask.empty())
    throw ArgumentError(pipeline_name, "this is an inpainting model (" + std::to_string(in) +
                                           " input channels): it needs an image and a mask");
  if (in != latent && in != 2 * latent + 1)
    throw ConfigError(pipeline_name, "the U-Net takes " + std::to_string(in) + " channels; " +
                                         std::to_string(latent) + " (latents) or " +
                                         std::to_string(2 * latent + 1) +
                                         " (with mask and picture) are supported");
}

}  // namespace

struct StableDiffusion::Start {
  Tensor<float> latents;         ///< what the first step is given
  Tensor<float> noise;           ///< what was added, for blending
  Tensor<float> image_latents;   ///< of the picture, where it is needed
  Tensor<float> mask;            ///< at latent size, 0 or 1; empty without a mask
  Tensor<float> masked_latents;  ///< of the picture without what will be painted; nine-channel models only
};

Tensor<float> StableDiffusion::encode_prompts(const ops::Context& context,
                                              const std::vector<std::string>& prompts, int clip_skip) const {
  const ops::Profile::Span span(context, ops::Stage::text_encoder);
  std::vector<Tensor<float>> states;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    if (i > 0 && prompts[i] == prompts[i - 1]) {
      states.push_back(states.back());
      continue;
    }
    Tensor<std::int32_t> ids({1, tokenizer_.length()});
    const auto window = tokenizer_.window(prompts[i]);
    std::copy(window.ids.begin(), window.ids.end(), ids.data());
    Tensor<float> mask;
    if (networks_->text_config().use_attention_mask) {
      mask = Tensor<float>::full({1, tokenizer_.length()}, 1.0f);
      std::fill(mask.span().end() - window.padding, mask.span().end(), 0.0f);
    }
    states.push_back(networks_->encode_text(context, ids, clip_skip, mask.empty() ? nullptr : &mask));
    ops::check_finite(states.back(), "text_encoder");
  }
  return concat_leading<float>(states);
}

Tensor<float> StableDiffusion::decode(const ops::Context& context, const Tensor<float>& latents) const {
  return decode_pictures(context, latents, networks_->autoencoder_config(),
                         [&](const Tensor<float>& x) { return networks_->decode_latents(context, x); });
}

Tensor<float> StableDiffusion::encode_image(const ops::Context& context, const Tensor<float>& image,
                                            Index batch, NoiseStreams& noise) const {
  const ops::Profile::Span span(context, ops::Stage::image_encoder);
  const auto& config = networks_->autoencoder_config();
  std::vector<Tensor<float>> means, logvars;
  for (Index n = 0; n < image.dim(0); ++n) {
    auto encoded = networks_->encode_image(context, image.slice(n, n + 1));
    means.push_back(std::move(encoded.mean));
    logvars.push_back(std::move(encoded.logvar));
  }
  const models::LatentDistribution distribution{repeated(concat_leading<float>(means), batch),
                                                repeated(concat_leading<float>(logvars), batch)};
  const auto drawn = noise.draw(NoiseStreams::Use::autoencoder, distribution.mean.shape());
  auto latents =
      affine(distribution.sample(drawn), config.scaling_factor, -config.shift_factor * config.scaling_factor);
  ops::check_finite(latents, "vae");
  return latents;
}

StableDiffusion::Start StableDiffusion::prepare(const ops::Context& context, const StableDiffusionTask& task,
                                                const samplers::SamplerRun& run, Index first_call,
                                                NoiseStreams& noise) const {
  const auto& vae = networks_->autoencoder_config();
  const auto batch = static_cast<Index>(task.prompts.size());
  const Shape shape{batch, task.height / vae.downscale(), task.width / vae.downscale(), vae.latent_channels};
  const bool inpaints = !task.mask.empty();
  const bool nine_channels = networks_->unet_config().shape.in_channels != vae.latent_channels;
  // Inpainting at full strength starts from pure noise; image to image never does.
  const bool from_noise = task.image.empty() || (inpaints && task.strength == 1.0);

  // The order of the draws is the reference's: the picture, the noise, the picture without what will be
  // painted.
  Start start;
  if (!from_noise || (inpaints && !nine_channels))
    start.image_latents = encode_image(context, task.image, batch, noise);
  start.noise = initial_noise(task.latents, shape, noise);
  start.latents = from_noise ? affine(start.noise, run.init_noise_sigma(), 0.0f)
                             : run.add_noise(start.image_latents, start.noise, first_call);
  if (!inpaints) return start;

  auto mask = task.mask.clone();
  for (float& value : mask.span()) value = value >= 0.5f ? 1.0f : 0.0f;
  start.mask = repeated(ops::upsample_nearest<float>(context, mask, shape[1], shape[2]), batch);
  if (nine_channels) {
    const Index copies = std::max(task.image.dim(0), mask.dim(0));
    const auto picture = repeated(task.image, copies);
    const auto masked = blend(picture, Tensor<float>::zeros(picture.shape()), repeated(mask, copies));
    start.masked_latents = encode_image(context, masked, batch, noise);
  } else {
    // The reference encodes it here too and never looks at it; the draw keeps the streams in step.
    noise.draw(NoiseStreams::Use::autoencoder, shape);
  }
  return start;
}

StableDiffusion::Result StableDiffusion::run(const ops::Context& context, const StableDiffusionTask& task,
                                             NoiseStreams& noise, const StepObserver& on_step) const {
  check(task, *networks_);
  const bool guided = task.guidance.is_on();
  const auto prompts = encode_prompts(context, task.prompts, task.clip_skip);
  Tensor<float> negative;
  if (guided)
    // Skipping the text encoder's last layers concerns the prompt alone, as in the reference.
    negative = encode_prompts(
        context,
        task.negative_prompts.empty() ? std::vector<std::string>(task.prompts.size()) : task.negative_prompts,
        0);

  samplers::RunOptions options;
  options.steps = task.steps;
  options.eta = task.eta;
  if (!task.image.empty()) {
    const auto kept = std::min(static_cast<int>(task.steps * task.strength), task.steps);
    options.first_call = static_cast<Index>(task.steps - kept) * task.sampler->order();
    if (kept < 1)
      throw ArgumentError(pipeline_name, "strength " + std::to_string(task.strength) + " of " +
                                             std::to_string(task.steps) + " steps leaves no step to run");
  }
  const auto run = task.sampler->start(options);
  const auto start = prepare(context, task, *run, options.first_call, noise);
  const bool nine_channels = !start.masked_latents.empty();
  DenoisingLoop loop;
  loop.denoiser = [&](const Tensor<float>& x, float timestep, Index image) {
    const auto own = [image](const Tensor<float>& batch) { return batch.slice(image, image + 1); };
    const auto input = nine_channels
                           ? ops::concat_channels(context, ops::concat_channels(context, x, own(start.mask)),
                                                  own(start.masked_latents))
                           : x;
    const auto states =
        guided ? concat_leading<float>(std::array{own(negative), own(prompts)}) : own(prompts);
    return guided_prediction(input, task.guidance, ConditionedHalf::second, [&](const Tensor<float>& batch) {
      return networks_->denoise(context, batch, timestep, states);
    });
  };
  if (!start.mask.empty() && !nine_channels)
    // What is not painted follows the picture: at the next step's noise level, and clean after the last.
    loop.revise = [&](const Tensor<float>& stepped, Index next_call) {
      const auto known = next_call < run->calls()
                             ? run->add_noise(start.image_latents, start.noise, next_call)
                             : start.image_latents;
      return blend(known, stepped, start.mask);
    };
  loop.on_step = on_step;
  auto latents = loop(context, *run, options.first_call, start.latents, noise);
  return {latents, decode(context, latents)};
}

}  // namespace daguerre

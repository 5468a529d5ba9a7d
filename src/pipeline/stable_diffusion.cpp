#include "daguerre/pipeline/stable_diffusion.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "daguerre/ops/elementwise.hpp"
#include "daguerre/ops/resample.hpp"

namespace daguerre {
namespace {

constexpr const char* who = "pipeline";

Tensor<float> affine(const Tensor<float>& x, float scale, float shift) {
  Tensor<float> result(x.shape());
  std::transform(x.data(), x.data() + x.size(), result.data(),
                 [=](float value) { return value * scale + shift; });
  return result;
}

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
    throw ArgumentError(who, std::string(what) + " " + to_string(x.shape()) + ", expected [1 or " +
                                 std::to_string(batch) + ", " + std::to_string(task.height) + ", " +
                                 std::to_string(task.width) + ", " + std::to_string(channels) + "]");
}

void check_side(const char* name, Index side, Index multiple) {
  constexpr Index largest = 16384;
  if (side < multiple || side > largest || side % multiple != 0) {
    const Index below = std::clamp(side / multiple * multiple, multiple, largest);
    throw ArgumentError(
        who, std::string(name) + " " + std::to_string(side) + " is not a multiple of " +
                 std::to_string(multiple) + " from " + std::to_string(multiple) + " to " +
                 std::to_string(largest) + "; nearest is " +
                 std::to_string(std::min(below + (side - below > multiple / 2 ? multiple : 0), largest)));
  }
}

void check(const StableDiffusionTask& task, const StableDiffusionNetworks& networks) {
  const Index multiple = networks.autoencoder_config().downscale();
  check_side("width", task.width, multiple);
  check_side("height", task.height, multiple);
  if (task.prompts.empty()) throw ArgumentError(who, "there is no prompt");
  if (!task.negative_prompts.empty() && task.negative_prompts.size() != task.prompts.size())
    throw ArgumentError(who, std::to_string(task.negative_prompts.size()) + " negative prompts for " +
                                 std::to_string(task.prompts.size()) + " prompts");
  if (task.steps < 1)
    throw ArgumentError(who, "steps is " + std::to_string(task.steps) + ", expected at least 1");
  if (!(task.strength >= 0.0 && task.strength <= 1.0))
    throw ArgumentError(who, "strength is " + std::to_string(task.strength) + ", expected 0 to 1");
  if (!std::isfinite(task.guidance.scale) ||
      !(task.guidance.rescale >= 0.0f && task.guidance.rescale <= 1.0f))
    throw ArgumentError(who, "guidance scale must be finite and guidance rescale from 0 to 1");
  if (task.sampler == nullptr) throw ArgumentError(who, "there is no sampler");
  if (!task.mask.empty() && task.image.empty())
    throw ArgumentError(who, "a mask needs an image to paint into");
  if (!task.image.empty()) check_picture(task.image, task, 3, "image");
  if (!task.mask.empty()) check_picture(task.mask, task, 1, "mask");
  const Index in = networks.unet_config().in_channels, latent = networks.autoencoder_config().latent_channels;
  if (in == 2 * latent + 1 && task.mask.empty())
    throw ArgumentError(who, "this is an inpainting model (" + std::to_string(in) +
                                 " input channels): it needs an image and a mask");
  if (in != latent && in != 2 * latent + 1)
    throw ConfigError(who, "the U-Net takes " + std::to_string(in) + " channels; " + std::to_string(latent) +
                               " (latents) or " + std::to_string(2 * latent + 1) +
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
  Tensor<std::int32_t> ids({static_cast<Index>(prompts.size()), tokenizer_.length()});
  std::int32_t* out = ids.data();
  for (const auto& prompt : prompts) {
    const auto window = tokenizer_.window(prompt);
    out = std::copy(window.ids.begin(), window.ids.end(), out);
  }
  auto states = networks_->encode_text(context, ids, clip_skip);
  ops::check_finite(states, "text_encoder");
  return states;
}

Tensor<float> StableDiffusion::decode(const ops::Context& context, const Tensor<float>& latents) const {
  const auto& config = networks_->autoencoder_config();
  const auto unscaled = affine(latents, 1.0f / config.scaling_factor, config.shift_factor);
  std::vector<Tensor<float>> pictures;
  for (Index n = 0; n < latents.dim(0); ++n)
    pictures.push_back(networks_->decode_latents(context, unscaled.slice(n, n + 1)));
  auto decoded = pictures.size() == 1 ? pictures.front() : concat_leading<float>(pictures);
  ops::check_finite(decoded, "vae");
  return decoded;
}

Tensor<float> StableDiffusion::encode_image(const ops::Context& context, const Tensor<float>& image,
                                            Index batch, NoiseStreams& noise) const {
  const auto& config = networks_->autoencoder_config();
  auto distribution = networks_->encode_image(context, image);
  distribution = {repeated(distribution.mean, batch), repeated(distribution.logvar, batch)};
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
  const bool nine_channels = networks_->unet_config().in_channels != vae.latent_channels;
  // Inpainting at full strength starts from pure noise; image to image never does.
  const bool from_noise = task.image.empty() || (inpaints && task.strength == 1.0);

  // The order of the draws is the reference's: the picture, the noise, the picture without what will be
  // painted.
  Start start;
  if (!from_noise || (inpaints && !nine_channels))
    start.image_latents = encode_image(context, task.image, batch, noise);
  if (task.latents.empty()) {
    start.noise = noise.draw(NoiseStreams::Use::initial, shape);
  } else if (task.latents.shape() == shape) {
    start.noise = task.latents;
  } else {
    throw ArgumentError(who, "latents " + to_string(task.latents.shape()) + ", expected " + to_string(shape));
  }
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

StableDiffusion::Result StableDiffusion::run(
    const ops::Context& context, const StableDiffusionTask& task, NoiseStreams& noise,
    const std::function<void(const StableDiffusionStep&)>& on_step) const {
  check(task, *networks_);
  const bool guided = task.guidance.is_on();
  auto states = encode_prompts(context, task.prompts, task.clip_skip);
  if (guided) {
    // Skipping the text encoder's last layers concerns the prompt alone, as in the reference.
    const auto negative =
        task.negative_prompts.empty() ? std::vector<std::string>(task.prompts.size()) : task.negative_prompts;
    states = concat_leading<float>(std::array{encode_prompts(context, negative, 0), states});
  }

  samplers::RunOptions options;
  options.steps = task.steps;
  options.eta = task.eta;
  if (!task.image.empty()) {
    const auto kept = std::min(static_cast<int>(task.steps * task.strength), task.steps);
    options.first_call = static_cast<Index>(task.steps - kept) * task.sampler->order();
    if (kept < 1)
      throw ArgumentError(who, "strength " + std::to_string(task.strength) + " of " +
                                   std::to_string(task.steps) + " steps leaves no step to run");
  }
  const auto run = task.sampler->start(options);
  const auto start = prepare(context, task, *run, options.first_call, noise);
  const bool nine_channels = !start.masked_latents.empty();
  const auto step_noise = [&](const Shape& shape) { return noise.draw(NoiseStreams::Use::step, shape); };

  auto latents = start.latents;
  const auto timesteps = run->timesteps();
  const auto calls = static_cast<Index>(timesteps.size());
  for (Index i = options.first_call; i < calls; ++i) {
    context.check_stop();
    const float timestep = timesteps[static_cast<std::size_t>(i)];
    latents = run->perturb(latents, i, step_noise);
    auto input = run->scale_model_input(latents, i);
    if (nine_channels)
      input = ops::concat_channels(context, ops::concat_channels(context, input, start.mask),
                                   start.masked_latents);
    if (guided) input = concat_leading<float>(std::array{input, input});
    auto output = networks_->denoise(context, input, timestep, states);
    if (guided) {
      const Index batch = output.dim(0) / 2;
      output = apply_guidance(output.slice(0, batch), output.slice(batch, 2 * batch), task.guidance);
    }
    ops::check_finite(output, "unet");

    const auto stepped = run->step(output, i, latents, step_noise);
    latents = stepped;
    if (!start.mask.empty() && !nine_channels) {
      // What is not painted follows the picture: at the next step's noise level, and clean after the last.
      const auto known =
          i + 1 < calls ? run->add_noise(start.image_latents, start.noise, i + 1) : start.image_latents;
      latents = blend(known, latents, start.mask);
    }
    if (on_step)
      on_step({i - options.first_call, calls - options.first_call, timestep, latents, stepped, output,
               run->pred_original_sample()});
  }
  context.pool.trim();  // the U-Net's buffers are of no use to the decoder
  return {latents, decode(context, latents)};
}

}  // namespace daguerre

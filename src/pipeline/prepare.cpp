#include "pipeline/prepare.hpp"

#include <algorithm>
#include <cmath>

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
  float* const out = result.data();
  for (Index i = 0; i < result.size(); ++i) {
    const float m = mask.data()[i / channels];
    out[i] = (1.0f - m) * keep.data()[i] + m * paint.data()[i];
  }
  return result;
}

/// What the autoencoder knows of `image[1 or N, H, W, 3]`.
Autoencoder::Distribution encoded(const ops::Context& context, const Autoencoder& autoencoder,
                                  const Tensor<float>& image, Index batch) {
  const ops::Profile::Span span(context, ops::Stage::image_encoder);
  std::vector<Tensor<float>> means, deviations;
  for (Index n = 0; n < image.dim(0); ++n) {
    auto one = autoencoder.encode(context, image.slice(n, n + 1));
    means.push_back(std::move(one.mean));
    if (!one.std.empty()) deviations.push_back(std::move(one.std));
  }
  Autoencoder::Distribution result{repeated(concat_leading<float>(means), batch), {}};
  if (!deviations.empty()) result.std = repeated(concat_leading<float>(deviations), batch);
  return result;
}

/// The picture's latents as the denoiser sees them.
Tensor<float> encode_image(const ops::Context& context, const Autoencoder& autoencoder,
                           const Tensor<float>& image, Index batch, NoiseStreams& noise) {
  auto distribution = encoded(context, autoencoder, image, batch);
  auto latents = distribution.mean;
  if (!distribution.std.empty()) {
    const auto drawn = noise.draw(NoiseStreams::Use::autoencoder, latents.shape());
    latents = ops::multiply_add(context, distribution.mean, distribution.std, drawn);
  }
  latents = autoencoder.info().to_model(latents);
  ops::check_finite(latents, "vae");
  return latents;
}

/// Training timesteps from which on `part` of the whole is done.
double cutoff(const samplers::Sampler& sampler, double part) {
  const auto table = sampler.alphas_cumprod().size();
  const double total = table == 0 ? 1000.0 : static_cast<double>(table);
  return std::nearbyint(total - part * total);
}

/// Which calls of the whole run are made.
void set_calls(const Task& task, Start& start) {
  samplers::RunOptions options;
  options.steps = task.steps;
  options.eta = task.eta;
  options.use_clipped_model_output = task.use_clipped_model_output;
  const auto whole = task.sampler->start(options);
  const auto timesteps = whole->timesteps();
  const int order = task.sampler->order();
  if (task.denoising_start) {
    const double first = cutoff(*task.sampler, *task.denoising_start);
    auto kept = std::count_if(timesteps.begin(), timesteps.end(),
                              [&](float t) { return static_cast<double>(t) < first; });
    if (order == 2 && kept % 2 == 0) ++kept;  // not between the two calls of a step
    start.first_call = std::max<Index>(0, whole->calls() - kept);
    if (kept == 0 || start.first_call >= whole->calls())
      throw ArgumentError(pipeline_name, "denoising_start " + std::to_string(*task.denoising_start) + " of " +
                                             std::to_string(task.steps) + " steps leaves no step to run");
  } else if (task.has_image()) {
    const auto kept = std::min(static_cast<int>(task.steps * task.strength), task.steps);
    if (kept < 1)
      throw ArgumentError(pipeline_name, "strength " + std::to_string(task.strength) + " of " +
                                             std::to_string(task.steps) + " steps leaves no step to run");
    start.first_call = static_cast<Index>(task.steps - kept) * order;
  }
  start.end_call = whole->calls();
  if (task.denoising_end && *task.denoising_end > 0.0 && *task.denoising_end < 1.0) {
    const double last = cutoff(*task.sampler, *task.denoising_end);
    start.end_call =
        start.first_call + std::count_if(timesteps.begin() + start.first_call, timesteps.end(),
                                         [&](float t) { return static_cast<double>(t) >= last; });
    if (start.end_call == start.first_call)
      throw ArgumentError(pipeline_name, "denoising_end " + std::to_string(*task.denoising_end) + " of " +
                                             std::to_string(task.steps) + " steps leaves no step to run");
  }
  options.first_call = start.first_call;
  start.run = task.sampler->start(options);
}

}  // namespace

Start prepare(const ops::Context& context, const Task& task, const Family& family,
              const Components& components, NoiseStreams& noise) {
  const auto& autoencoder = *components.autoencoder;
  const auto& format = autoencoder.info();
  const auto batch = static_cast<Index>(task.prompts.size());
  const Shape shape{batch, task.height / format.space_ratio, task.width / format.space_ratio,
                    format.channels};
  Start start;
  if (family.tasks.needs_image) {
    auto whole = task;
    whole.image = {};  // the whole run is made, from noise
    whole.image_latents = {};
    set_calls(whole, start);
    start.latents = affine(initial_noise(task.latents, shape, noise), start.run->init_noise_sigma(), 0.0f);
    // The mode of the distribution, not scaled.
    start.concat = task.image.empty() ? repeated(task.image_latents, batch)
                                      : encoded(context, autoencoder, task.image, batch).mean;
    ops::check_finite(start.concat, "vae");
    return start;
  }

  set_calls(task, start);
  const auto& run = *start.run;
  const bool inpaints = !task.mask.empty();
  const bool joins = components.denoiser->info().in_channels != format.channels;
  // Inpainting at full strength starts from pure noise; image to image never does.
  const bool from_noise = !task.has_image() || (inpaints && task.strength == 1.0 && !task.denoising_start);
  Tensor<float> image_latents;
  if (!task.image_latents.empty())
    image_latents = repeated(task.image_latents, batch);
  else if (!from_noise || (inpaints && !joins))
    image_latents = encode_image(context, autoencoder, task.image, batch, noise);
  const bool as_it_is = task.denoising_start.has_value();  // noisy already
  Tensor<float> drawn;
  if (!as_it_is || inpaints) drawn = initial_noise(task.latents, shape, noise);
  start.latents = as_it_is     ? image_latents
                  : from_noise ? affine(drawn, run.init_noise_sigma(), 0.0f)
                               : run.add_noise(image_latents, drawn, start.first_call);
  if (!inpaints) return start;

  auto mask = task.mask.clone();
  for (float& value : mask.span()) value = value >= 0.5f ? 1.0f : 0.0f;
  const auto small_mask = repeated(ops::upsample_nearest<float>(context, mask, shape[1], shape[2]), batch);
  if (joins) {
    if (task.image.empty())
      throw ArgumentError(pipeline_name,
                          "this is an inpainting model: it needs the picture itself, not its latents");
    const Index copies = std::max(task.image.dim(0), mask.dim(0));
    const auto picture = repeated(task.image, copies);
    const auto masked = blend(picture, Tensor<float>::zeros(picture.shape()), repeated(mask, copies));
    start.concat =
        ops::concat_channels(context, small_mask, encode_image(context, autoencoder, masked, batch, noise));
    return start;
  }
  // The reference encodes it here too and never looks at it; the draw keeps the streams in step.
  noise.draw(NoiseStreams::Use::autoencoder, shape);
  // What is not painted follows the picture: at the next step's noise level, and clean after the last.
  start.revise = [=, run = start.run](const Tensor<float>& stepped, Index next_call) {
    const auto known =
        next_call < run->calls() ? run->add_noise(image_latents, drawn, next_call) : image_latents;
    return blend(known, stepped, small_mask);
  };
  return start;
}

}  // namespace daguerre

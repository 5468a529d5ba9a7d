#include <algorithm>
#include <cmath>

#include "daguerre/ops/elementwise.hpp"
#include "daguerre/ops/profile.hpp"
#include "daguerre/ops/rearrange.hpp"
#include "daguerre/ops/resample.hpp"
#include "pipeline/enlargement.hpp"
#include "pipeline/held_frames.hpp"
#include "pipeline/latents.hpp"
#include "pipeline/name.hpp"
#include "pipeline/number.hpp"
#include "pipeline/prepare.hpp"
#include "samplers/numerics.hpp"

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

/// What an autoencoder gave as the denoiser sees it.
Tensor<float> as_denoiser_sees(const Autoencoder& autoencoder, const Tensor<float>& encoded) {
  auto latents = autoencoder.info().to_model(encoded);
  ops::check_finite(latents, "vae");
  return latents;
}

/// Training timesteps from which on `part` of the whole is done.
double cutoff(const samplers::Sampler& sampler, double part) {
  const auto table = sampler.alphas_cumprod().size();
  const double total = table == 0 ? 1000.0 : static_cast<double>(table);
  return std::nearbyint(total - part * total);
}

/// Of how many steps a run from a picture makes use; between 0 and all.
int steps_of(const Task& task, const Levels& levels) {
  const double steps = task.steps, part = std::min(steps * task.strength, steps);
  // As the reference's pipelines round.
  return levels.strength_rounds_up ? task.steps - static_cast<int>(std::max(steps - part, 0.0))
                                   : static_cast<int>(part);
}

/// Timesteps that fall slowly at first (diffusers' linear_quadratic_schedule).
std::vector<double> linear_quadratic_timesteps(int steps) {
  constexpr double threshold = 0.025;
  const int linear = steps / 2, rest = steps - linear;
  std::vector<double> timesteps;
  const double left = linear - threshold * steps;
  const double square = linear == 0 ? 0.0 : left / (static_cast<double>(linear) * rest * rest);
  const double slope =
      linear == 0 ? 0.0 : threshold / linear - 2.0 * left / (static_cast<double>(rest) * rest);
  for (int i = 0; i < steps; ++i) {
    const double fallen =
        i < linear ? i * threshold / linear : square * i * i + slope * i + square * linear * linear;
    timesteps.push_back(static_cast<double>(static_cast<float>(1.0 - fallen) * 1000.0f));
  }
  return timesteps;
}

/// How a run of `task` goes over the noise levels, from its beginning.
samplers::RunOptions run_options(const Task& task, const Levels& levels, Index tokens) {
  samplers::RunOptions options;
  options.steps = task.steps;
  options.timesteps = task.timesteps;
  options.eta = task.eta;
  options.use_clipped_model_output = task.use_clipped_model_output;
  options.mu = task.sampler->mu(tokens);
  if (levels.even && task.sampler->follows_flow_sigmas() && task.steps > 0)
    options.sigmas = samplers::numerics::numpy_linspace(1.0, 1.0 / task.steps, task.steps);
  if (levels.linear_quadratic && task.sampler->follows_flow_sigmas() && task.steps > 0)
    options.timesteps = linear_quadratic_timesteps(task.steps);
  return options;
}

/// Which calls of the whole run are made.
void set_calls(const Task& task, const Levels& levels, Index tokens, bool from_picture, Start& start) {
  auto options = run_options(task, levels, tokens);
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
      throw ArgumentError(pipeline_name, "denoising_start " + number(*task.denoising_start) + " of " +
                                             std::to_string(task.steps) + " steps leaves no step to run");
  } else if (from_picture) {
    const int kept = steps_of(task, levels);
    if (kept < 1)
      throw ArgumentError(pipeline_name, "strength " + number(task.strength) + " of " +
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
      throw ArgumentError(pipeline_name, "denoising_end " + number(*task.denoising_end) + " of " +
                                             std::to_string(task.steps) + " steps leaves no step to run");
  }
  options.first_call = start.first_call;
  start.run = task.sampler->start(options);
}

/// Where to paint: 1, else 0; `[1 or N, H, W, 1]`. Of a grey mask all that is ever painted.
Tensor<float> whole_mask(const Task& task) {
  auto mask = task.mask.clone();
  const auto paints = [&](float value) { return task.differential ? value > 0.0f : value >= 0.5f; };
  for (float& value : mask.span()) value = paints(value) ? 1.0f : 0.0f;
  return mask;
}

Tensor<float> small_mask(const Preparation& of, const Tensor<float>& mask) {
  return repeated(ops::upsample_nearest<float>(of.context, mask, of.shape[1], of.shape[2]), of.batch());
}

/// The latents of the picture without what will be painted.
Tensor<float> masked_picture(const Preparation& of, const Tensor<float>& mask) {
  if (of.task.image.empty())
    throw ArgumentError(pipeline_name,
                        "this is an inpainting model: it needs the picture itself, not its latents");
  const Index copies = std::max(of.task.image.dim(0), mask.dim(0));
  const auto picture = repeated(of.task.image, copies);
  return of.encode(blend(picture, Tensor<float>::zeros(picture.shape()), repeated(mask, copies)));
}

/// The whole run is made, from noise, beside a picture that joins the channels.
void prepare_beside_picture(const Preparation& of, Joins joins, Start& start) {
  const auto& task = of.task;
  if (!task.image_latents.empty())
    start.concat = repeated(task.image_latents, of.batch());
  else if (joins == Joins::control)
    start.concat = of.encode(task.image);  // draws before the noise does
  start.latents = affine(of.start_noise(), start.run->init_noise_sigma(), 0.0f);
  if (start.concat.empty()) start.concat = of.encoded(task.image).mean;
  ops::check_finite(start.concat, "vae");
}

/// The mask's pixels behind each latent as channels, row after row.
Tensor<float> mask_pixels(const Preparation& of, const Tensor<float>& mask) {
  const Index ratio = of.format().space_ratio;
  const auto tokens = ops::patchify(of.context, mask, ratio);
  return repeated(tokens.reshape({mask.dim(0), of.shape[1], of.shape[2], ratio * ratio}), of.batch());
}

/// The picture's latents with what the run is to find under the mask.
Tensor<float> with_content(const Preparation& of, const Tensor<float>& picture, const Tensor<float>& drawn) {
  const auto content = of.task.content;
  if (of.task.mask.empty() ||
      (content != MaskedContent::latent_noise && content != MaskedContent::latent_nothing))
    return picture;
  const bool noise = content == MaskedContent::latent_noise && !drawn.empty();
  return blend(picture, noise ? drawn : Tensor<float>::zeros(picture.shape()),
               small_mask(of, whole_mask(of.task)));
}

/// 1 where the mask is at least `threshold`, else 0.
Tensor<float> reached(const Tensor<float>& mask, double threshold) {
  Tensor<float> result(mask.shape());
  std::transform(mask.data(), mask.data() + mask.size(), result.data(),
                 [=](float value) { return static_cast<double>(value) >= threshold ? 1.0f : 0.0f; });
  return result;
}

/// The part of a run's calls that is left before call `next`, and of the last one behind it, which no step
/// follows that could paint more.
double part_left(Index first, Index end, Index next) {
  return static_cast<double>(end - std::min(next, end - 1)) / static_cast<double>(end - first);
}

/// What is not painted follows the picture: at the next step's noise level, and clean after the last.
void follow_picture(const Preparation& of, const Tensor<float>& picture, const Tensor<float>& drawn,
                    bool model_keeps_black, Start& start) {
  // Grey as it is, each latent as the pixel that stands for it.
  auto mask = small_mask(of, of.task.differential ? of.task.mask : whole_mask(of.task));
  if (model_keeps_black)
    for (float& value : mask.span()) value = value == 0.0f ? 1.0f : value;
  start.revise = [=, run = start.run, first = start.first_call, differs = of.task.differential](
                     const Tensor<float>& stepped, Index next_call) {
    const auto known = next_call < run->calls() ? run->add_noise(picture, drawn, next_call) : picture;
    return blend(known, stepped, differs ? reached(mask, part_left(first, run->calls(), next_call)) : mask);
  };
}

/// Whether the run begins with the picture or film, and so later.
bool begins_with_picture(const Task& task, const Family& family) {
  return (task.has_image() || (!task.film.video.empty() && !family.films.follows)) &&
         !is_made_from_picture(family.tasks.joins);
}

/// From noise, or from a picture that noise is added to; with a mask only inside of it.
void prepare_from_noise_or_picture(const Preparation& of, bool joins, Start& start) {
  const auto& task = of.task;
  const auto& tasks = of.family.tasks;
  const auto& run = *start.run;
  const auto film = task.film.video.empty() ? Tensor<float>() : of.film_to_start_from();
  const bool inpaints = !task.mask.empty(), fills = joins && tasks.joins == Joins::picture_and_pixels;
  // Inpainting at full strength starts from pure noise; image to image never does. Models that fill look at
  // the picture all the same where the noise is drawn.
  const bool from_noise =
      !begins_with_picture(task, of.family) || (inpaints && task.strength == 1.0 && !task.denoising_start);
  const bool encodes = !from_noise || (fills ? task.latents.empty() : inpaints && !joins);
  Tensor<float> image_latents;
  if (!task.image_latents.empty())
    image_latents = repeated(task.image_latents, of.batch());
  else if (encodes)
    image_latents = of.encode(film.empty() ? task.image : film);
  const bool as_it_is = task.denoising_start.has_value();  // noisy already
  Tensor<float> drawn;
  if (!as_it_is || inpaints) drawn = of.start_noise();
  start.latents = as_it_is ? image_latents
                  : from_noise
                      ? affine(drawn, run.init_noise_sigma(), 0.0f)
                      : run.add_noise(with_content(of, image_latents, drawn), drawn, start.first_call);
  if (!task.film.conditions.empty()) hold_frames(of, drawn, start);
  if (!inpaints) return;

  if (joins) {
    const auto mask = whole_mask(task);
    const auto masked = masked_picture(of, mask);
    start.concat = fills ? ops::concat_channels(of.context, masked, mask_pixels(of, mask))
                         : ops::concat_channels(of.context, small_mask(of, mask), masked);
    if (!task.differential) return;
    // The model keeps what the mask leaves black; grey is up to the loop. No draw, which would shift the
    // others.
    if (image_latents.empty())
      image_latents = as_denoiser_sees(of.autoencoder(), of.encoded(task.image).mean);
    follow_picture(of, image_latents, drawn, true, start);
    return;
  }
  // The reference encodes it here too and never looks at it; the draw keeps the streams in step.
  (void)of.noise.draw(NoiseStreams::Use::autoencoder, of.shape);
  follow_picture(of, image_latents, drawn, false, start);
}

/// Tokens of the picture as flow matching's shift counts them.
Index tokens_of(const Task& task, const Family& family, const Components& components) {
  const auto shape = latent_shape(task, family, components);
  const auto& denoiser = components.denoiser->info();
  const Index multiple = denoiser.side_multiple;
  const Index frames = shape.rank() == 5 ? std::max<Index>(1, shape[1] / denoiser.frame_multiple) : 1;
  return frames * (shape[-3] / multiple) * (shape[-2] / multiple);
}

}  // namespace

Index latent_frames(const LatentFormat& format, Index frames) {
  return (frames - 1) / format.time_ratio + 1;
}

Index film_frames(const Task& task, const Family& family, const LatentFormat& format) {
  const Index asked = task.film.frames == 0 ? family.defaults.frames : task.film.frames;
  if (family.frames) return family.frames(task, asked, format);
  return (latent_frames(format, asked) - 1) * format.time_ratio + 1;
}

Shape latent_shape(const Task& task, const Family& family, const Components& components) {
  const auto& format = components.autoencoder->info();
  const auto batch = static_cast<Index>(task.prompts.size());
  const Index height = task.height / format.space_ratio, width = task.width / format.space_ratio;
  if (!components.denoiser->info().films) return {batch, height, width, format.channels};
  return {batch, latent_frames(format, film_frames(task, family, format)), height, width, format.channels};
}

Index Preparation::frames() const {
  return shape.rank() == 5 ? shape[1] : 1;
}

Index Preparation::film_frames() const {
  return daguerre::film_frames(task, family, format());
}

Tensor<float> Preparation::start_noise() const {
  return initial_noise(task.latents, shape, noise, family.order);
}

Autoencoder::Distribution Preparation::encoded(const Tensor<float>& pictures) const {
  const ops::Profile::Span span(context, ops::Stage::image_encoder);
  const bool films = pictures.rank() == 5, by_frame = films && !format().films;
  const bool lone = !films && format().films;
  const auto& shape = pictures.shape();
  auto images = by_frame ? pictures.reshape({shape[0] * shape[1], shape[2], shape[3], shape[4]})
                : lone   ? pictures.reshape({shape[0], 1, shape[1], shape[2], shape[3]})
                         : pictures;
  std::vector<Tensor<float>> means, deviations;
  for (Index n = 0; n < images.dim(0); ++n) {
    auto one = autoencoder().encode(context, images.slice(n, n + 1));
    means.push_back(std::move(one.mean));
    if (!one.std.empty()) deviations.push_back(std::move(one.std));
  }
  const auto joined = [&](const std::vector<Tensor<float>>& parts) {
    auto all = concat_leading<float>(parts);
    if (by_frame) all = all.reshape({shape[0], shape[1], all.dim(1), all.dim(2), all.dim(3)});
    return repeated(all, batch());
  };
  Autoencoder::Distribution result{joined(means), {}};
  if (!deviations.empty()) result.std = joined(deviations);
  return result;
}

Tensor<float> Preparation::encode(const Tensor<float>& pictures) const {
  auto distribution = encoded(pictures);
  auto latents = distribution.mean;
  if (!distribution.std.empty()) {
    // Autoencoders of pictures draw for frames as for a batch, those of films as for one.
    const auto order = format().films ? FilmOrder::channels_first : FilmOrder::frames_first;
    const auto drawn = noise.draw(NoiseStreams::Use::autoencoder, latents.shape(), order);
    latents = ops::multiply_add(context, distribution.mean, distribution.std, drawn);
  }
  return as_denoiser_sees(autoencoder(), latents);
}

Tensor<float> Preparation::film_of(std::span<const Image> pictures) const {
  std::vector<Tensor<float>> frames;
  for (const auto& picture : pictures)
    frames.push_back(to_tensor(picture.to_channels(3).resized(task.width, task.height)));
  const auto film = concat_leading<float>(frames);
  return film.reshape({1, film.dim(0), film.dim(1), film.dim(2), film.dim(3)});
}

Tensor<float> Preparation::film_to_start_from() const {
  const auto& video = task.film.video;
  const auto wanted = static_cast<std::size_t>(film_frames());
  if (video.size() < wanted)
    throw ArgumentError(pipeline_name, "the film to start from has " + std::to_string(video.size()) +
                                           " frames, the one to be made " + std::to_string(wanted));
  return film_of(std::span(video).first(wanted));
}

void prepare_noise(const Preparation& of, Start& start) {
  start.latents = affine(of.start_noise(), start.run->init_noise_sigma(), 0.0f);
}

void prepare_standard(const Preparation& of, Start& start) {
  if (!of.task.reference.empty()) {
    start.reference_latents = of.format().to_model(of.encoded(of.task.reference).mean);
    ops::check_finite(start.reference_latents, "vae");
  }
  if (is_made_from_picture(of.family.tasks.joins)) {
    prepare_beside_picture(of, of.family.tasks.joins, start);
  } else if (enlarges(of.family.tasks.joins)) {
    if (of.family.augmentation.drawn_first) start.concat = noised_low_resolution(of);
    prepare_from_noise_or_picture(of, false, start);
    if (start.concat.empty()) start.concat = noised_low_resolution(of);
  } else {
    prepare_from_noise_or_picture(of, of.components.denoiser->info().in_channels != of.format().channels,
                                  start);
  }
}

Index calls_of(const Task& task, const Family& family, const Components& components) {
  Start start;
  set_calls(task, family.levels, tokens_of(task, family, components), begins_with_picture(task, family),
            start);
  return start.end_call - start.first_call;
}

Start prepare(const ops::Context& context, const Task& task, const Family& family,
              const Components& components, NoiseStreams& noise) {
  const Preparation of{context, task, family, components, noise, latent_shape(task, family, components)};
  Start start;
  set_calls(task, family.levels, tokens_of(task, family, components), begins_with_picture(task, family),
            start);
  family.prepare ? family.prepare(of, start) : prepare_standard(of, start);
  return start;
}

}  // namespace daguerre

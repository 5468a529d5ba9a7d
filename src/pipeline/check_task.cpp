#include <cmath>

#include "daguerre/pipeline/ip_adapter.hpp"
#include "pipeline/controls/controls.hpp"
#include "pipeline/enlargement.hpp"
#include "pipeline/film_plan.hpp"
#include "pipeline/latents.hpp"
#include "pipeline/name.hpp"
#include "pipeline/number.hpp"
#include "pipeline/prepare.hpp"

namespace daguerre {
namespace {

void check_tensor(const Tensor<float>& x, Index batch, const Shape& rest, const char* what) {
  const bool fits = x.rank() == 4 && (x.dim(0) == 1 || x.dim(0) == batch) && x.dim(1) == rest[1] &&
                    x.dim(2) == rest[2] && x.dim(3) == rest[3];
  if (!fits)
    throw ArgumentError(pipeline_name, std::string(what) + " " + to_string(x.shape()) + ", expected [1 or " +
                                           std::to_string(batch) + ", " + std::to_string(rest[1]) + ", " +
                                           std::to_string(rest[2]) + ", " + std::to_string(rest[3]) + "]");
}

void check_numbers(const Task& task) {
  if (task.steps < 1)
    throw ArgumentError(pipeline_name, "steps is " + std::to_string(task.steps) + ", expected at least 1");
  for (const auto& [name, scale] : {std::pair{"guidance scale", task.guidance.scale},
                                    std::pair{"guidance scale of the picture", task.guidance.image_scale},
                                    std::pair{"true_cfg_scale", task.guidance.true_cfg_scale}})
    if (!std::isfinite(scale))
      throw ArgumentError(pipeline_name,
                          std::string(name) + " is " + number(scale) + ", expected a finite number");
  const auto check_part = [](const char* name, double value) {
    if (!(value >= 0.0 && value <= 1.0))
      throw ArgumentError(pipeline_name, std::string(name) + " is " + number(value) + ", expected 0 to 1");
  };
  check_part("guidance rescale", static_cast<double>(task.guidance.rescale));
  check_part("eta", task.eta);
  check_part("strength", task.strength);
  if (task.denoising_start) check_part("denoising_start", *task.denoising_start);
  if (task.denoising_end) check_part("denoising_end", *task.denoising_end);
  if (task.sampler == nullptr) throw ArgumentError(pipeline_name, "there is no sampler");
  if (!task.timesteps.empty() && task.timesteps.size() != static_cast<std::size_t>(task.steps))
    throw ArgumentError(pipeline_name, std::to_string(task.timesteps.size()) + " timesteps for " +
                                           std::to_string(task.steps) + " steps: expected one for each");
}

void check_labels(const Task& task, const DenoiserInfo& denoiser, const Family& family) {
  const auto takes_class = [&](const Prompt& prompt) { return prompt.label.has_value(); };
  const auto given =
      static_cast<std::size_t>(std::count_if(task.prompts.begin(), task.prompts.end(), takes_class));
  if (denoiser.classes == 0 || enlarges(family.tasks.joins)) {  // there they are levels of noise
    if (given > 0) throw ArgumentError(pipeline_name, "this model takes no class");
    return;
  }
  if (given == 0)
    throw ArgumentError(pipeline_name, "there is no class: this model takes one for each picture");
  if (given < task.prompts.size())
    throw ArgumentError(pipeline_name,
                        "this model takes a class for each picture: " + std::to_string(task.prompts.size()) +
                            " are needed, " + std::to_string(given) + " given");
  for (const auto& prompt : task.prompts)
    if (*prompt.label < 0 || *prompt.label >= denoiser.classes)
      throw ArgumentError(pipeline_name, "class " + std::to_string(*prompt.label) + " is not one of 0 to " +
                                             std::to_string(denoiser.classes - 1));
}

void check_reference(const Task& task, Index batch, Index multiple) {
  const auto& x = task.reference;
  if (x.empty()) return;
  const bool fits = x.rank() == 4 && (x.dim(0) == 1 || x.dim(0) == batch) && x.dim(3) == 3;
  if (!fits)
    throw ArgumentError(pipeline_name, "reference " + to_string(x.shape()) + ", expected [1 or " +
                                           std::to_string(batch) + ", height, width, 3]");
  check_side("the reference's width", x.dim(2), multiple);
  check_side("the reference's height", x.dim(1), multiple);
}

/// What T5 was given at most in the models that read it (diffusers' pipelines refuse more).
void check_sequence_length(const Task& task) {
  constexpr Index most = 512;
  if (task.sequence_length < 0 || task.sequence_length > most)
    throw ArgumentError(pipeline_name, "max_sequence_length is " + std::to_string(task.sequence_length) +
                                           ", expected 1 to " + std::to_string(most));
}

void check_free_u(const Task& task, const DenoiserInfo& denoiser, const Family& family) {
  if (!task.free_u) return;
  if (!denoiser.takes_free_u) throw ArgumentError(pipeline_name, family.title + " takes no FreeU");
  for (const float value : {task.free_u->b1, task.free_u->b2, task.free_u->s1, task.free_u->s2})
    if (!std::isfinite(value))
      throw ArgumentError(pipeline_name,
                          "a factor of FreeU is " + number(value) + ", expected a finite number");
}

/// The numbers that a film is told beside its length.
void check_film_numbers(const FilmTask& film) {
  const auto check = [](const char* name, float value, float least, float most) {
    if (!(value >= least && value <= most))
      throw ArgumentError(pipeline_name, std::string(name) + " is " + number(value) + ", expected " +
                                             number(least) + " to " + number(most));
  };
  constexpr float most_noise = 10.0f, most_scale = 10.0f;  // beyond that nothing is left of what is shown
  check("motion_bucket", film.motion_bucket, 0.0f, 255.0f);
  check("noise_augmentation", film.noise_augmentation, 0.0f, most_noise);
  check("condition_noise", film.condition_noise, 0.0f, most_noise);
  check("decode_timestep", film.decode_timestep, 0.0f, 1.0f);
  if (film.decode_noise) check("decode_noise", *film.decode_noise, 0.0f, 1.0f);
  for (const float scale : film.scales) check("a scale of a film", scale, -most_scale, most_scale);
  if (film.decode_chunk < 0)
    throw ArgumentError(pipeline_name, "decode_chunk is " + std::to_string(film.decode_chunk) +
                                           ", expected a number of frames, or 0");
}

/// What a film is told, and how long it is.
void check_film(const Task& task, const Family& family, const Components& components) {
  const auto& film = task.film;
  const auto& can = family.films;
  const auto& denoiser = components.denoiser->info();
  const auto refuse = [&](const std::string& what) {
    throw ArgumentError(pipeline_name, family.title + what);
  };
  if (!denoiser.films) {
    if (film.frames > 1) refuse(" makes pictures, not films of " + std::to_string(film.frames) + " frames");
    if (!film.conditions.empty() || !film.video.empty() || !film.references.empty())
      refuse(" makes pictures: it takes no film and no frames of one");
    return;
  }
  const Index asked = film.frames == 0 ? family.defaults.frames : film.frames;
  if (film.frames < 0 || asked > most_film_frames)
    throw ArgumentError(pipeline_name, "frames is " + std::to_string(film.frames) + ", expected 1 to " +
                                           std::to_string(most_film_frames));
  if (!(film.frame_rate >= 0.0 && film.frame_rate <= 1000.0))
    throw ArgumentError(pipeline_name, "frame_rate is " + number(film.frame_rate) + ", expected 0 to 1000");
  const Index frames = film_frames(task, family, components.autoencoder->info());
  const Index latents = latent_frames(components.autoencoder->info(), frames);
  if (denoiser.largest_frames > 0 && latents > denoiser.largest_frames && film.windows.frames == 0)
    throw ArgumentError(pipeline_name, std::to_string(frames) + " frames are more than the " +
                                           std::to_string(denoiser.largest_frames) +
                                           " that this model has positions for; windows make longer films");
  if (film.windows.frames < 0 || film.windows.stride < 0 || film.windows.stride > film.windows.frames)
    throw ArgumentError(pipeline_name, "windows of " + std::to_string(film.windows.frames) +
                                           " frames with a stride of " + std::to_string(film.windows.stride) +
                                           ": the stride must be from 1 to their length");
  check_film_numbers(film);
  using At = FilmTasks::Conditions;
  if (!film.conditions.empty() && can.conditions == At::none) refuse(" takes no picture at a frame");
  if (can.needs_condition && film.conditions.empty()) refuse(" needs a picture to begin with");
  if (can.one_picture && film.conditions.size() > 1)
    refuse(" begins with one picture, not with " + std::to_string(film.conditions.size()));
  for (const auto& condition : film.conditions) {
    const Index at = condition.at < 0 ? frames + condition.at : condition.at;
    if (condition.pictures.empty())
      refuse(": a condition at frame " + std::to_string(at) + " has no picture");
    for (const auto& picture : condition.pictures)
      if (picture.empty())
        refuse(": a picture of the condition at frame " + std::to_string(at) + " is empty");
    if (can.one_picture && condition.pictures.size() > 1)
      refuse(" begins with one picture, not with a clip of " + std::to_string(condition.pictures.size()));
    if (at < 0 || at >= frames)
      throw ArgumentError(pipeline_name, "a condition is at frame " + std::to_string(condition.at) + " of " +
                                             std::to_string(frames));
    if ((can.conditions == At::first && at != 0) ||
        (can.conditions == At::first_and_last && at != 0 && at != frames - 1))
      refuse(" takes a picture at the first frame" +
             std::string(can.conditions == At::first ? "" : " or the last") + ", not at frame " +
             std::to_string(at));
    if (!(condition.strength >= 0.0 && condition.strength <= 1.0))
      throw ArgumentError(pipeline_name,
                          "a condition's strength is " + number(condition.strength) + ", expected 0 to 1");
    if (!can.strength && condition.strength != 1.0)
      refuse(" shows pictures as they are: it takes no strength of them, which is " +
             number(condition.strength));
  }
  if (!film.video.empty() && !can.video && !can.follows) refuse(" takes no film");
  if (!film.mask.empty() && !can.mask) refuse(" takes no mask of a film");
  if (!film.references.empty() && !can.references) refuse(" takes no pictures to look at");
  for (const auto* pictures : {&film.video, &film.mask, &film.references})
    for (const auto& picture : *pictures)
      if (picture.empty()) throw ArgumentError(pipeline_name, "a picture of a film is empty");
}

}  // namespace

void check_task(const Task& task, const Family& family, const Components& components) {
  const auto& denoiser = components.denoiser->info();
  const auto& format = components.autoencoder->info();
  const Index multiple = format.space_ratio * denoiser.side_multiple;
  check_side("width", task.width, multiple);
  check_side("height", task.height, multiple);
  // Sides are multiples of the ratio; a table of positions may be of any size that its configuration says.
  if (const Index side = std::max(task.width, task.height);
      denoiser.largest_side > 0 && side / format.space_ratio > denoiser.largest_side)
    throw ArgumentError(pipeline_name, "a side of " + std::to_string(side) + " is longer than the " +
                                           std::to_string(denoiser.largest_side * format.space_ratio) +
                                           " pixels that this model has positions for");
  if (task.prompts.empty()) throw ArgumentError(pipeline_name, "there is no prompt");
  check_numbers(task);
  check_sequence_length(task);
  check_image_prompts(task.image_prompts, denoiser.cross_attentions, family.title);
  check_free_u(task, denoiser, family);
  check_film(task, family, components);
  if (task.tiling.any() && !denoiser.wraps)
    throw ArgumentError(pipeline_name, family.title + " makes no seamless pictures");
  check_labels(task, denoiser, family);
  const bool has_image = task.has_image();
  if (has_image && !family.tasks.image)
    throw ArgumentError(pipeline_name, family.title + " takes no picture to start from");
  // Inpainting models may begin with latents and look at the picture that these do not show.
  const bool looks = !task.mask.empty() && denoiser.in_channels != format.channels;
  if (!task.image.empty() && !task.image_latents.empty() && !looks)
    throw ArgumentError(pipeline_name, "give the picture to start from or its latents, not both");
  if (!task.mask.empty() && !has_image)
    throw ArgumentError(pipeline_name, "a mask needs an image to paint into");
  if (!task.reference.empty() && !family.tasks.references)
    throw ArgumentError(pipeline_name, family.title + " looks at no picture beside the one it makes");
  if (task.denoising_start && !has_image)
    throw ArgumentError(pipeline_name, "denoising_start needs the latents of the run that came before");
  if (task.denoising_start &&
      (task.content == MaskedContent::latent_noise || task.content == MaskedContent::latent_nothing))
    throw ArgumentError(
        pipeline_name,
        "a run from denoising_start on goes on with the latents that it is given: nothing else "
        "can stand under the mask");
  if (task.denoising_start && task.denoising_end && *task.denoising_start >= *task.denoising_end)
    throw ArgumentError(pipeline_name, "denoising_start is " + number(*task.denoising_start) +
                                           ", denoising_end " + number(*task.denoising_end) +
                                           ": nothing is between them");
  const auto batch = static_cast<Index>(task.prompts.size());
  if (!task.image.empty()) check_tensor(task.image, batch, {1, task.height, task.width, 3}, "image");
  if (!task.mask.empty()) check_tensor(task.mask, batch, {1, task.height, task.width, 1}, "mask");
  if (!task.image_latents.empty())
    check_tensor(task.image_latents, batch,
                 {1, task.height / format.space_ratio, task.width / format.space_ratio, format.channels},
                 "image_latents");
  check_reference(task, batch, multiple);
  check_enlargement(task, family, components);
  check_controls(task, components, task.film.frames == 0 ? family.defaults.frames : task.film.frames);
  // A family that prepares its runs itself knows what joins the channels.
  const Index joined = family.prepare ? 0 : denoiser.in_channels - format.channels;
  const auto joins = family.tasks.joins;
  if (is_made_from_picture(joins) && !has_image)
    throw ArgumentError(pipeline_name, joins == Joins::control
                                           ? "this model follows pictures: it needs an image"
                                           : "this model changes pictures: it needs an image");
  if (!is_made_from_picture(joins) && !enlarges(joins) && joined > 0 && task.mask.empty())
    throw ArgumentError(pipeline_name, "this is an inpainting model (" +
                                           std::to_string(denoiser.in_channels) +
                                           " input channels): it needs an image and a mask");
  if (is_made_from_picture(joins) && !task.mask.empty())
    throw ArgumentError(pipeline_name, family.title + " takes no mask");
}

}  // namespace daguerre

#include <algorithm>
#include <array>

#include "daguerre/ops/elementwise.hpp"
#include "daguerre/ops/rearrange.hpp"
#include "daguerre/pipeline/preparation.hpp"
#include "pipeline/families/families.hpp"
#include "pipeline/name.hpp"

namespace daguerre::families {
namespace {

/// T5's states of the whole window, padding included, without a mask.
Conditioning cogvideox_condition(const ops::Context& context, const Components& components, const Task& task,
                                 const Prompt& prompt, Side side) {
  Conditioning result;
  result.context = components.text_encoder("text_encoder")
                       .encode(context, side == Side::positive ? prompt.text : prompt.negative.value_or(""),
                               {.max_sequence_length = task.sequence_length})
                       .states;
  return result;
}

/// Whether the model's films begin with a picture, whose latents join the channels.
bool follows_picture(const DenoiserInfo& denoiser) {
  return denoiser.in_channels > denoiser.out_channels;
}

/// An odd number of latents gives one frame for the first; those of a given film are whole patches.
auto cogvideox_frames(Index multiple) {
  return [=](const Task& task, Index asked, const LatentFormat& format) {
    Index latents = latent_frames(format, asked);
    if (!task.film.video.empty()) latents = std::max(multiple, latents / multiple * multiple);
    return latents % 2 == 0 ? latents * format.time_ratio : (latents - 1) * format.time_ratio + 1;
  };
}

void settle_cogvideox(Family& family, const DenoiserInfo& denoiser) {
  family.frames = cogvideox_frames(denoiser.frame_multiple);
  if (denoiser.sample_frames > 0) family.defaults.frames = denoiser.sample_frames;
  if (denoiser.kind == "cogvideox-1.5") family.defaults.frame_rate = 16.0;
  if (!follows_picture(denoiser)) return;
  family.films = {.conditions = FilmTasks::Conditions::first, .needs_condition = true, .one_picture = true};
}

/// The picture's latents with zeros behind them, as long as the film.
Tensor<float> picture_channels(const Preparation& of) {
  const auto& pictures = of.task.film.conditions.front().pictures;
  const float scale = of.format().condition_scale / of.format().scale;
  const auto first = ops::affine(of.context, of.encode(of.film_of(pictures)), scale, 0.0f);
  if (of.frames() == 1) return first;
  const auto rest = ops::full(of.context, first.shape().with(1, of.frames() - 1), 0.0f);
  return ops::concat<float>(of.context, std::array{first, rest}, 1);
}

/// Frames of latents that the patches do not divide get others before them, which nobody sees.
void prepare_cogvideox(const Preparation& of, Start& start) {
  const auto& denoiser = of.components.denoiser->info();
  const auto channels = of.format().channels, frames = of.frames(), multiple = denoiser.frame_multiple;
  const bool has_picture = follows_picture(denoiser);
  if (denoiser.in_channels != (has_picture ? 2 * channels : channels))
    throw ConfigError(pipeline_name, "in_channels in " + denoiser.config + " is " +
                                         std::to_string(denoiser.in_channels) + ", expected " +
                                         std::to_string(channels) + ", or twice that with a picture's");
  if (!of.task.film.video.empty()) return prepare_standard(of, start);
  const Index surplus = (multiple - frames % multiple) % multiple;
  const Preparation whole{of.context,    of.task,  of.family,
                          of.components, of.noise, of.shape.with(1, frames + surplus)};
  if (has_picture) start.concat = picture_channels(whole);
  prepare_noise(whole, start);
  if (surplus == 0) return;
  start.finish = [context = of.context, surplus, frames](const Tensor<float>& latents) {
    return ops::narrow(context, latents, 1, surplus, frames);
  };
}

}  // namespace

Family cogvideox() {
  Family family;
  family.name = "cogvideox";
  family.title = "CogVideoX";
  family.classes = {
      {"CogVideoXPipeline"}, {"CogVideoXImageToVideoPipeline"}, {"CogVideoXVideoToVideoPipeline"}};
  family.parts = {
      {Part::Kind::text_encoder, "text_encoder", {"T5EncoderModel"}, "tokenizer", true, Part::Text::behind},
      {Part::Kind::denoiser, "transformer", {"CogVideoXTransformer3DModel"}},
      {Part::Kind::autoencoder, "vae", {"AutoencoderKLCogVideoX"}}};
  family.tasks = {.prompt = true};
  family.defaults = {
      .steps = 50, .guidance_scale = 6.0f, .strength = 0.8, .sequence_length = 226, .frames = 49};
  family.films = {.video = true};
  family.order = FilmOrder::frames_first;
  family.condition = cogvideox_condition;
  family.settle = settle_cogvideox;
  family.prepare = prepare_cogvideox;
  return family;
}

}  // namespace daguerre::families

#include "daguerre/pipeline/preparation.hpp"
#include "pipeline/families/families.hpp"
#include "pipeline/latents.hpp"

namespace daguerre::families {
namespace {

/// A film to start from is noised as the pictures that the sampler sees, frame by frame.
void text_to_video_preparation(const Preparation& of, Start& start) {
  if (of.task.film.video.empty()) return prepare_noise(of, start);
  const auto latents = of.encode(of.film_to_start_from());
  const auto drawn = initial_noise(of.task.latents, of.shape, of.noise, FilmOrder::frames_first);
  start.latents = start.run->add_noise(latents, drawn, start.first_call);
}

}  // namespace

Family text_to_video_sd() {
  Family family;
  family.name = "text-to-video-sd";
  family.title = "ModelScope's text to video";
  family.classes = {{"TextToVideoSDPipeline"}, {"VideoToVideoSDPipeline"}};
  family.parts = {
      {Part::Kind::text_encoder, "text_encoder", {"CLIPTextModel"}, "tokenizer"},
      {Part::Kind::denoiser, "unet", {"UNet3DConditionModel"}},
      {Part::Kind::autoencoder, "vae", {"AutoencoderKL"}},
  };
  family.tasks = {.prompt = true};
  family.films = {.video = true};
  family.step_order = FilmOrder::frames_first;
  family.defaults = {.guidance_scale = 9.0f, .strength = 0.6, .frames = 16, .frame_rate = 8.0};
  family.condition = clip_condition;
  family.prepare = text_to_video_preparation;
  return family;
}

}  // namespace daguerre::families

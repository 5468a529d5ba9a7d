#include <array>

#include "daguerre/ops/elementwise.hpp"
#include "daguerre/pipeline/ip_adapter.hpp"
#include "daguerre/pipeline/picture_preparation.hpp"
#include "daguerre/pipeline/preparation.hpp"
#include "pipeline/families/families.hpp"
#include "pipeline/latents.hpp"

namespace daguerre::families {
namespace {

constexpr double svd_frame_rate = 7.0;

/// The picture's embedding, and what the model is told of frame rate (one less than it is), motion and noise.
Conditioning svd_condition(const ops::Context& context, const Components& components, const Task& task,
                           const Prompt&, Side side) {
  const auto& encoder = *components.image_encoder;
  const Index width = encoder.info().embed_width, size = encoder.info().image_size;
  Conditioning result;
  if (side == Side::positive) {
    const auto picture = to_tensor(task.film.conditions.front().pictures.front().to_channels(3));
    const auto values = affine(antialiased_resize(context, picture, size, size), 0.5f, 0.5f);
    result.context = encoder.encode_values(context, values).embedding.reshape({1, 1, width});
  } else {
    result.context = Tensor<float>::zeros({1, 1, width});
  }
  const double rate = task.film.frame_rate == 0.0 ? svd_frame_rate : task.film.frame_rate;
  const std::array ids{static_cast<float>(rate - 1.0), task.film.motion_bucket, task.film.noise_augmentation};
  result.extras.emplace("time_ids", Tensor<float>::copy_of({1, 3}, ids));
  return result;
}

/// Noise is added to the picture, whose mean, not scaled, stands beside the latents of every frame; zeros do
/// where guidance leads away from.
void svd_preparation(const Preparation& of, Start& start) {
  const auto& task = of.task;
  const auto picture = repeated(
      picture_input(task.film.conditions.front().pictures.front(), task.width, task.height), of.batch());
  const auto drawn = of.noise.draw(NoiseStreams::Use::initial, picture.shape());
  const auto noisy = ops::weighted_sum(of.context, picture, 1.0f, drawn, task.film.noise_augmentation);
  const auto mean = of.encoded(noisy).mean;
  ops::check_finite(mean, "vae");
  start.tell = [mean, frames = of.frames()](Conditioning& conditioning, Side side, Index image) {
    const auto film = repeated(mean.slice(image, image + 1), frames);
    const Shape shape{1, frames, film.dim(1), film.dim(2), film.dim(3)};
    conditioning.concat = side == Side::positive ? film.reshape(shape) : Tensor<float>::zeros(shape);
  };
  prepare_noise(of, start);
}

}  // namespace

Family stable_video_diffusion() {
  Family family;
  family.name = "svd";
  family.title = "Stable Video Diffusion";
  family.classes = {{"StableVideoDiffusionPipeline"}};
  family.parts = {
      {Part::Kind::image_encoder, "image_encoder", {"CLIPVisionModelWithProjection"}, "feature_extractor"},
      {Part::Kind::denoiser, "unet", {"UNetSpatioTemporalConditionModel"}},
      {Part::Kind::autoencoder, "vae", {"AutoencoderKLTemporalDecoder"}},
  };
  family.films = {.conditions = FilmTasks::Conditions::first, .needs_condition = true, .one_picture = true};
  family.order = FilmOrder::frames_first;
  family.defaults = {.steps = 25, .guidance_scale = 3.0f, .frames = 14, .frame_rate = svd_frame_rate};
  family.condition = svd_condition;
  family.prepare = svd_preparation;
  family.settle = [](Family& own, const DenoiserInfo& denoiser) {
    if (denoiser.sample_frames > 0) own.defaults.frames = denoiser.sample_frames;
  };
  family.guider = [](const Guidance& guidance, const DenoiserInfo&) -> std::shared_ptr<const Guider> {
    if (!guidance.is_on()) return std::make_shared<const NoGuidance>();
    return std::make_shared<const FramewiseGuidance>(guidance);
  };
  return family;
}

}  // namespace daguerre::families

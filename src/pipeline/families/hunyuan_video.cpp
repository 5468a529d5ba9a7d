#include "pipeline/families/families.hpp"
#include "pipeline/name.hpp"

namespace daguerre::families {
namespace {

/// Its text encoders, a language model with a picture's encoder beside it and CLIP, are not here.
Conditioning no_hunyuan_condition(const ops::Context&, const Components&, const Task&, const Prompt&, Side) {
  throw ArgumentError("hunyuan_video",
                      "there is no text encoder for HunyuanVideo: its conditions (states, vector and mask) "
                      "must be given, see Model::denoise");
}

/// Models that begin with a picture read it in a way of their own, which is not here.
void settle_hunyuan_video(Family& family, const DenoiserInfo& denoiser) {
  if (!denoiser.kind.empty())
    throw ConfigError(pipeline_name,
                      "image_condition_type in " + denoiser.config + " is \"" + denoiser.kind +
                          "\": " + family.title +
                          " is here for films of text, not for those that begin with a picture");
}

}  // namespace

Family hunyuan_video() {
  Family family;
  family.name = "hunyuan-video";
  family.title = "HunyuanVideo";
  family.classes = {{"HunyuanVideoPipeline"}};
  family.parts = {{Part::Kind::denoiser, "transformer", {"HunyuanVideoTransformer3DModel"}},
                  {Part::Kind::autoencoder, "vae", {"AutoencoderKLHunyuanVideo"}}};
  family.tasks = {.prompt = true, .true_cfg = true};
  family.defaults = {
      .steps = 50, .guidance_scale = 6.0f, .sequence_length = 256, .frames = 129, .frame_rate = 24.0};
  family.levels = {.even = true};
  family.condition = no_hunyuan_condition;
  family.guider = distilled_guider;
  family.settle = settle_hunyuan_video;
  return family;
}

}  // namespace daguerre::families

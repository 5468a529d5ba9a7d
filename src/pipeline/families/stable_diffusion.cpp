#include "pipeline/families/families.hpp"

namespace daguerre::families {

Conditioning clip_condition(const ops::Context& context, const Components& components, const Task& task,
                            const Prompt& prompt, Side side) {
  const bool positive = side == Side::positive;
  const auto encoded = components.text_encoder("text_encoder")
                           .encode(context, positive ? prompt.text : prompt.negative.value_or(""),
                                   {.skip = positive ? task.clip_skip : 0});
  Conditioning result;
  result.context = encoded.states;
  return result;
}

Family stable_diffusion() {
  Family family;
  family.name = "sd";
  family.title = "Stable Diffusion";
  // The class for inpainting looks after another key in the place of clip_sample; of its elder the reference
  // says that StableDiffusionInpaintPipeline does the same.
  family.classes = {
      {"StableDiffusionPipeline", sd_scheduler_overrides},
      {"StableDiffusionImg2ImgPipeline", sd_scheduler_overrides},
      {"StableDiffusionInpaintPipeline", R"({"steps_offset": 1, "skip_prk_steps": true})"},
      {"StableDiffusionInpaintPipelineLegacy", sd_scheduler_overrides},
      {"StableDiffusionControlNetPipeline"},
      {"StableDiffusionControlNetImg2ImgPipeline"},
      {"StableDiffusionControlNetInpaintPipeline"},
      {"StableDiffusionAdapterPipeline"},
  };
  family.parts = {
      {Part::Kind::text_encoder,
       "text_encoder",
       {"CLIPTextModel", "CLIPTextModelWithProjection"},
       "tokenizer"},
      {Part::Kind::denoiser, "unet", {"UNet2DConditionModel"}},
      {Part::Kind::autoencoder, "vae", {"AutoencoderKL", "AutoencoderTiny"}},
  };
  family.tasks = {.prompt = true, .image = true};
  family.condition = clip_condition;
  return family;
}

}  // namespace daguerre::families

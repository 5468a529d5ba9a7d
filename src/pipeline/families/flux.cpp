#include "pipeline/families/families.hpp"

namespace daguerre::families {
namespace {

/// T5's states, and CLIP's vector.
Conditioning flux_condition(const ops::Context& context, const Components& components, const Task& task,
                            const Prompt& prompt, Side side) {
  const bool positive = side == Side::positive;
  const std::string text = positive ? prompt.text : prompt.negative.value_or("");
  const std::string text_2 = (positive ? prompt.text_2 : prompt.negative_2).value_or(text);
  Conditioning result;
  result.pooled = components.text_encoder("text_encoder").encode(context, text, {}).pooled;
  result.context = components.text_encoder("text_encoder_2")
                       .encode(context, text_2, {.max_sequence_length = task.sequence_length})
                       .states;
  return result;
}

/// FLUX.1-schnell was distilled to few steps and reads no guidance; its card asks for short prompts.
void settle_flux(Family& family, const DenoiserInfo& denoiser) {
  if (denoiser.embeds_guidance) return;
  family.tasks.guidance = false;
  family.defaults.steps = 4;
  family.defaults.sequence_length = 256;
}

}  // namespace

Family flux() {
  Family family;
  family.name = "flux";
  family.title = "FLUX.1";
  family.classes = {
      {"FluxPipeline"},           {"FluxImg2ImgPipeline"},           {"FluxInpaintPipeline"},
      {"FluxControlNetPipeline"}, {"FluxControlNetImg2ImgPipeline"}, {"FluxControlNetInpaintPipeline"}};
  family.parts = {
      {Part::Kind::text_encoder, "text_encoder", {"CLIPTextModel"}, "tokenizer", true, Part::Text::pooled},
      {Part::Kind::text_encoder,
       "text_encoder_2",
       {"T5EncoderModel"},
       "tokenizer_2",
       true,
       Part::Text::behind},
      {Part::Kind::denoiser, "transformer", {"FluxTransformer2DModel"}},
      {Part::Kind::autoencoder, "vae", {"AutoencoderKL", "AutoencoderTiny"}}};
  family.tasks = {.prompt = true, .true_cfg = true, .image = true};
  family.defaults = {
      .steps = 50, .guidance_scale = 3.5f, .strength = 0.6, .mask_strength = 0.6, .sequence_length = 512};
  family.levels = {.strength_rounds_up = true, .even = true};
  family.condition = flux_condition;
  family.settle = settle_flux;
  family.guider = distilled_guider;
  return family;
}

Family flux_fill() {
  auto family = flux();
  family.name = "flux-fill";
  family.title = "FLUX.1 Fill";
  family.classes = {{"FluxFillPipeline"}};
  family.tasks = {.prompt = true, .image = true, .joins = Joins::picture_and_pixels};
  family.defaults = {.guidance_scale = 30.0f, .strength = 1.0, .sequence_length = 512};
  family.settle = {};
  return family;
}

Family flux_control() {
  auto family = flux();
  family.name = "flux-control";
  family.title = "FLUX.1 Control";
  family.classes = {{"FluxControlPipeline"}};
  family.tasks = {.prompt = true, .image = true, .joins = Joins::control};
  family.defaults = {.steps = 30, .guidance_scale = 10.0f, .sequence_length = 512};
  family.settle = {};
  return family;
}

Family flux_kontext() {
  auto family = flux();
  family.name = "flux-kontext";
  family.title = "FLUX.1 Kontext";
  family.classes = {{"FluxKontextPipeline"}};
  family.tasks = {.prompt = true, .true_cfg = true, .references = true};
  family.defaults = {.steps = 28, .guidance_scale = 2.5f, .sequence_length = 512};
  family.settle = {};
  return family;
}

}  // namespace daguerre::families

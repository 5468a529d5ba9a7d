#include "pipeline/families/families.hpp"

namespace daguerre::families {
namespace {

/// T5's states of the prompt, whose padding T5 does not see and the denoiser does; and the noise of the small
/// picture where there is one. A denoiser that reads no prompt is told none.
Conditioning if_condition(const ops::Context& context, const Components& components, const Task& task,
                          const Prompt& prompt, Side side) {
  const bool positive = side == Side::positive;
  Conditioning result;
  if (components.denoiser->info().context_width > 0)
    result.context = components.text_encoder("text_encoder")
                         .encode(context, positive ? prompt.text : prompt.negative.value_or(""),
                                 {.skip = positive ? task.clip_skip : 0,
                                  .max_sequence_length = task.sequence_length,
                                  .masks_padding = true})
                         .states;
  if (task.noise_level) result.labels = {*task.noise_level};
  return result;
}

/// What is said of the variance is the conditional prediction's.
std::shared_ptr<const Guider> if_guider(const Guidance& guidance, const DenoiserInfo& denoiser) {
  if (!guidance.is_on()) return std::make_shared<const NoGuidance>();
  auto own = guidance;
  constexpr Index pictures = 3;  // channels
  if (denoiser.out_channels > pictures) own.channels = denoiser.out_channels / 2;
  return std::make_shared<const ClassifierFreeGuidance>(own);
}

/// Models of the kind that read no prompt are not guided by one.
void settle_if(Family& family, const DenoiserInfo& denoiser) {
  if (denoiser.context_width == 0) family.tasks.prompt = family.tasks.guidance = false;
}

}  // namespace

Family deepfloyd_if() {
  Family family;
  family.name = "if";
  family.title = "DeepFloyd IF";
  family.classes = {{"IFPipeline"}, {"IFImg2ImgPipeline"}, {"IFInpaintingPipeline"}};
  family.parts = {{Part::Kind::text_encoder,
                   "text_encoder",
                   {"T5EncoderModel", "CLIPTextModel", "CLIPTextModelWithProjection"},
                   "tokenizer",
                   false},
                  {Part::Kind::denoiser, "unet", {"UNet2DConditionModel"}}};
  family.tasks = {.prompt = true, .image = true};
  family.defaults = {.steps = 100, .guidance_scale = 7.0f, .strength = 0.7, .sequence_length = 77};
  family.drops_variance = true;
  family.clean = lowered;
  family.condition = if_condition;
  family.guider = if_guider;
  return family;
}

Family deepfloyd_if_upscale() {
  auto family = deepfloyd_if();
  family.name = "if-upscale";
  family.title = "DeepFloyd IF's super-resolution";
  family.classes = {{"IFSuperResolutionPipeline"}, {"IFImg2ImgSuperResolutionPipeline"}};
  family.parts.back().class_names = {"UNet2DConditionModel", "UNet2DModel"};
  family.tasks.joins = Joins::enlarged;
  family.defaults = {.steps = 50, .guidance_scale = 4.0f, .strength = 0.8, .sequence_length = 77};
  family.augmentation = {.scheduler = "image_noising_scheduler", .level = 250};
  family.settle = settle_if;
  return family;
}

}  // namespace daguerre::families

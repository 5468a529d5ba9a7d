#include <array>

#include "daguerre/ops/elementwise.hpp"
#include "pipeline/families/families.hpp"
#include "pipeline/name.hpp"

namespace daguerre::families {
namespace {

/// Height and width as given, then the crop, then the target size, or the score of models that are told one.
/// Where a picture is started from, the negative side has the positive crop unless there is a score: so has
/// the reference.
Tensor<float> time_ids(const Task& task, bool has_score, Side side) {
  const auto& micro = task.micro;
  const Extent picture{task.height, task.width};
  Extent original = micro.original_size.value_or(picture), target = micro.target_size.value_or(picture);
  Extent crop = micro.crop_top_left;
  double score = micro.aesthetic_score;
  if (side == Side::negative) {
    const bool from_picture = task.has_image();
    if (from_picture || (micro.negative_original_size && micro.negative_target_size)) {
      original = micro.negative_original_size.value_or(original);
      target = micro.negative_target_size.value_or(target);
      if (!from_picture || has_score) crop = micro.negative_crop_top_left.value_or(Extent{0, 0});
    }
    score = micro.negative_aesthetic_score;
  }
  std::vector<float> ids;
  for (const auto& pair : {original, crop})
    for (const Index value : pair) ids.push_back(static_cast<float>(value));
  if (has_score)
    ids.push_back(static_cast<float>(score));
  else
    for (const Index value : target) ids.push_back(static_cast<float>(value));
  return Tensor<float>::copy_of({1, static_cast<Index>(ids.size())}, ids);
}

Conditioning sdxl_condition(const ops::Context& context, const Components& components, const Task& task,
                            const Prompt& prompt, Side side) {
  const bool positive = side == Side::positive;
  const bool refines = components.index.get("requires_aesthetics_score", false);
  if (refines && !task.has_image())
    throw ArgumentError(pipeline_name,
                        "the model is a refiner (\"requires_aesthetics_score\" in " +
                            components.index.source() +
                            "): it needs a picture or latents to start from; make them with a base model");
  const std::string text = positive ? prompt.text : prompt.negative.value_or("");
  const std::string text_2 = (positive ? prompt.text_2 : prompt.negative_2).value_or(text);
  // The states before the last layer, without the norm behind it.
  const TextEncoder::Options options{.skip = 1 + (positive ? task.clip_skip : 0), .final_norm = false};
  const auto second = components.text_encoder("text_encoder_2").encode(context, text_2, options);
  Conditioning result;
  result.context = second.states;
  result.pooled = second.pooled;
  if (components.text_encoders.contains("text_encoder"))  // the refiner has none
    result.context = ops::concat_channels(
        context, components.text_encoder("text_encoder").encode(context, text, options).states,
        second.states);
  // The model was trained with zeros where there was no prompt.
  if (!positive && !prompt.negative && components.index.get("force_zeros_for_empty_prompt", true))
    result = zeros_like(result);
  result.extras.emplace("time_ids", time_ids(task, refines, side));
  return result;
}

}  // namespace

Family stable_diffusion_xl() {
  Family family;
  family.name = "sdxl";
  family.title = "Stable Diffusion XL";
  family.classes = {{"StableDiffusionXLPipeline"},
                    {"StableDiffusionXLImg2ImgPipeline"},
                    {"StableDiffusionXLInpaintPipeline"},
                    {"StableDiffusionXLControlNetPipeline"},
                    {"StableDiffusionXLControlNetImg2ImgPipeline"},
                    {"StableDiffusionXLControlNetInpaintPipeline"},
                    {"StableDiffusionXLAdapterPipeline"}};
  const std::vector<std::string> clip{"CLIPTextModel", "CLIPTextModelWithProjection"};
  family.parts = {{Part::Kind::text_encoder, "text_encoder", clip, "tokenizer", false},
                  {Part::Kind::text_encoder, "text_encoder_2", clip, "tokenizer_2"},
                  {Part::Kind::denoiser, "unet", {"UNet2DConditionModel"}},
                  {Part::Kind::autoencoder, "vae", {"AutoencoderKL", "AutoencoderTiny"}}};
  family.tasks = {.prompt = true, .image = true};
  family.defaults = {.guidance_scale = 5.0f, .strength = 0.3, .mask_strength = 0.9999};
  family.condition = sdxl_condition;
  return family;
}

}  // namespace daguerre::families

#include <array>

#include "daguerre/ops/elementwise.hpp"
#include "daguerre/ops/rearrange.hpp"
#include "pipeline/families/families.hpp"

namespace daguerre::families {
namespace {

/// Tokens that stand, all zeros, for T5's where a model goes without it: as many as CLIP reads.
constexpr Index rows_without_t5 = 77;

/// `states[1, L, D]` with zeros up to `width` behind each token.
Tensor<float> padded_states(const ops::Context& context, const Tensor<float>& states, Index width) {
  if (states.dim(2) == width) return states;
  return ops::concat_channels(context, states,
                              Tensor<float>::zeros({1, states.dim(1), width - states.dim(2)}));
}

/// CLIP's states side by side, then T5's; both CLIPs' vectors side by side (Esser et al. 2024, sec. 4).
Conditioning sd3_condition(const ops::Context& context, const Components& components, const Task& task,
                           const Prompt& prompt, Side side) {
  const bool positive = side == Side::positive;
  const std::string text = positive ? prompt.text : prompt.negative.value_or("");
  const std::string text_2 = (positive ? prompt.text_2 : prompt.negative_2).value_or(text);
  const std::string text_3 = (positive ? prompt.text_3 : prompt.negative_3).value_or(text);
  // The states before the last layer, without the norm behind it.
  const TextEncoder::Options options{.skip = 1 + (positive ? task.clip_skip : 0), .final_norm = false};
  const auto first = components.text_encoder("text_encoder").encode(context, text, options);
  const auto second = components.text_encoder("text_encoder_2").encode(context, text_2, options);
  const Index width = components.denoiser->info().context_width;
  const auto clip = padded_states(context, ops::concat_channels(context, first.states, second.states), width);
  auto t5 = Tensor<float>::zeros({1, rows_without_t5, width});
  if (components.text_encoders.contains("text_encoder_3"))
    t5 = components.text_encoder("text_encoder_3")
             .encode(context, text_3, {.max_sequence_length = task.sequence_length})
             .states;
  Conditioning result;
  result.context = ops::concat<float>(context, std::array{clip, t5}, 1);
  result.pooled = ops::concat_channels(context, first.pooled, second.pooled);
  return result;
}

/// As the models' cards have them.
void settle_sd3(Family& family, const DenoiserInfo& denoiser) {
  if (denoiser.kind == "sd3.5-large") family.defaults.guidance_scale = 3.5f;
  if (denoiser.kind == "sd3.5-medium") {
    family.defaults.guidance_scale = 4.5f;
    family.defaults.steps = 40;
  }
}

}  // namespace

Family stable_diffusion_3() {
  Family family;
  family.name = "sd3";
  family.title = "Stable Diffusion 3";
  family.classes = {{"StableDiffusion3Pipeline"},
                    {"StableDiffusion3Img2ImgPipeline"},
                    {"StableDiffusion3InpaintPipeline"},
                    {"StableDiffusion3ControlNetPipeline"}};
  const std::vector<std::string> clip{"CLIPTextModelWithProjection"};
  family.parts = {{Part::Kind::text_encoder, "text_encoder", clip, "tokenizer"},
                  {Part::Kind::text_encoder, "text_encoder_2", clip, "tokenizer_2"},
                  {Part::Kind::text_encoder,
                   "text_encoder_3",
                   {"T5EncoderModel"},
                   "tokenizer_3",
                   false,
                   Part::Text::behind},
                  {Part::Kind::denoiser, "transformer", {"SD3Transformer2DModel"}},
                  {Part::Kind::autoencoder, "vae", {"AutoencoderKL", "AutoencoderTiny"}}};
  family.tasks = {.prompt = true, .image = true, .inpaints_unshifted = true};
  family.defaults = {
      .steps = 28, .guidance_scale = 7.0f, .strength = 0.6, .mask_strength = 0.6, .sequence_length = 256};
  family.levels = {.strength_rounds_up = true};
  family.condition = sd3_condition;
  family.settle = settle_sd3;
  return family;
}

}  // namespace daguerre::families

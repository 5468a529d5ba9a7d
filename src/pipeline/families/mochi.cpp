#include "pipeline/families/families.hpp"

namespace daguerre::families {
namespace {

/// T5's states and which of them are the prompt's. The published model was trained with no token at all where
/// there was no prompt, which its index says.
Conditioning mochi_condition(const ops::Context& context, const Components& components, const Task& task,
                             const Prompt& prompt, Side side) {
  const auto text = side == Side::positive ? prompt.text : prompt.negative.value_or("");
  Conditioning result;
  if (text.empty() && components.index.get("force_zeros_for_empty_prompt", false)) {
    result.context = Tensor<float>::zeros({1, 1, components.denoiser->info().context_width});
    result.mask = Tensor<float>::zeros({1, 1});
    return result;
  }
  auto encoded =
      components.text_encoder("text_encoder")
          .encode(context, text, {.max_sequence_length = task.sequence_length, .masks_padding = true});
  result.context = std::move(encoded.states);
  result.mask = std::move(encoded.mask);
  return result;
}

}  // namespace

Family mochi() {
  Family family;
  family.name = "mochi";
  family.title = "Mochi 1";
  family.classes = {{"MochiPipeline"}};
  family.parts = {
      {Part::Kind::text_encoder, "text_encoder", {"T5EncoderModel"}, "tokenizer", true, Part::Text::behind},
      {Part::Kind::denoiser, "transformer", {"MochiTransformer3DModel"}},
      {Part::Kind::autoencoder, "vae", {"AutoencoderKLMochi"}}};
  family.tasks = {.prompt = true};
  family.defaults = {
      .steps = 64, .guidance_scale = 4.5f, .sequence_length = 256, .frames = 19, .frame_rate = 30.0};
  // The samplers of these models count noise the other way round: from 0, which is all noise, to 1.
  family.levels = {.linear_quadratic = true};
  family.condition = mochi_condition;
  return family;
}

}  // namespace daguerre::families

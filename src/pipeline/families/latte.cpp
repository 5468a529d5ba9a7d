#include <algorithm>

#include "daguerre/ops/rearrange.hpp"
#include "pipeline/families/families.hpp"

namespace daguerre::families {
namespace {

/// T5's states without the rows of the padding behind the prompt; of the negative prompt as many rows as the
/// prompt has.
Conditioning latte_condition(const ops::Context& context, const Components& components, const Task& task,
                             const Prompt& prompt, Side side) {
  const auto& encoder = components.text_encoder("text_encoder");
  const TextEncoder::Options options{.max_sequence_length = task.sequence_length, .masks_padding = true};
  auto encoded = encoder.encode(context, prompt.text, options);
  const auto mask = encoded.mask;
  if (side == Side::negative) encoded = encoder.encode(context, prompt.negative.value_or(""), options);
  Conditioning result;
  result.context = encoded.states;
  if (!task.film.keeps_padding && !mask.empty()) {
    const auto tokens = std::count(mask.data(), mask.data() + mask.size(), 1.0f);
    result.context = ops::narrow(context, encoded.states, 1, 0, static_cast<Index>(tokens));
  }
  if (!task.film.moves) result.extras.emplace("temporal_attentions", Tensor<float>::zeros({1}));
  return result;
}

}  // namespace

Family latte() {
  Family family;
  family.name = "latte";
  family.title = "Latte";
  family.classes = {{"LattePipeline"}};
  family.parts = {
      {Part::Kind::text_encoder, "text_encoder", {"T5EncoderModel"}, "tokenizer", true, Part::Text::behind},
      {Part::Kind::denoiser, "transformer", {"LatteTransformer3DModel"}},
      {Part::Kind::autoencoder, "vae", {"AutoencoderKL", "AutoencoderTiny"}}};
  family.tasks = {.prompt = true};
  family.defaults = {
      .steps = 50, .guidance_scale = 7.5f, .sequence_length = 120, .frames = 16, .frame_rate = 8.0};
  family.clean = lowered;
  family.condition = latte_condition;
  return family;
}

}  // namespace daguerre::families

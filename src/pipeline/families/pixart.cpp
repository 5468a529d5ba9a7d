#include <algorithm>
#include <array>

#include "daguerre/text/unicode.hpp"
#include "pipeline/families/families.hpp"

namespace daguerre::families {
namespace {

/// T5's states of the prompt and their mask, and the picture's size where the model was told it.
Conditioning pixart_condition(const ops::Context& context, const Components& components, const Task& task,
                              const Prompt& prompt, Side side) {
  const auto encoded =
      components.text_encoder("text_encoder")
          .encode(context, side == Side::positive ? prompt.text : prompt.negative.value_or(""),
                  {.max_sequence_length = task.sequence_length, .masks_padding = true});
  Conditioning result;
  result.context = encoded.states;
  result.mask = encoded.mask;
  const auto& read = components.denoiser->info().extras;
  if (std::find(read.begin(), read.end(), "resolution") == read.end()) return result;
  const auto height = static_cast<float>(task.height), width = static_cast<float>(task.width);
  result.extras.emplace("resolution", Tensor<float>::copy_of({1, 2}, std::array{height, width}));
  result.extras.emplace("aspect_ratio", Tensor<float>::full({1, 1}, height / width));
  return result;
}

}  // namespace

std::string lowered(std::string_view prompt) {
  const auto characters = text::decode_utf8(prompt);
  return text::to_utf8(text::lower(text::strip(characters), text::FinalSigma::follow));
}

Family pixart_alpha() {
  Family family;
  family.name = "pixart-alpha";
  family.title = "PixArt-alpha";
  family.classes = {{"PixArtAlphaPipeline"}};
  family.parts = {
      {Part::Kind::text_encoder, "text_encoder", {"T5EncoderModel"}, "tokenizer", true, Part::Text::behind},
      {Part::Kind::denoiser, "transformer", {"PixArtTransformer2DModel", "Transformer2DModel"}},
      {Part::Kind::autoencoder, "vae", {"AutoencoderKL", "AutoencoderTiny"}}};
  family.tasks = {.prompt = true};
  family.defaults = {.steps = 20, .guidance_scale = 4.5f, .sequence_length = 120};
  family.clean = lowered;
  family.condition = pixart_condition;
  return family;
}

Family pixart_sigma() {
  auto family = pixart_alpha();
  family.name = "pixart-sigma";
  family.title = "PixArt-Sigma";
  family.classes = {{"PixArtSigmaPipeline"}};
  family.defaults.sequence_length = 300;
  return family;
}

}  // namespace daguerre::families

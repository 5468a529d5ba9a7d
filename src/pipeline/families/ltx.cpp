#include "pipeline/families/families.hpp"
#include "pipeline/families/ltx_preparation.hpp"

namespace daguerre::families {
namespace {

/// T5's states, and which of them are the prompt's. Its attention saw the padding in the first pipelines and
/// does not in the one that takes conditions.
template <bool masks_padding>
Conditioning ltx_condition(const ops::Context& context, const Components& components, const Task& task,
                           const Prompt& prompt, Side side) {
  auto encoded = components.text_encoder("text_encoder")
                     .encode(context, side == Side::positive ? prompt.text : prompt.negative.value_or(""),
                             {.max_sequence_length = task.sequence_length, .masks_padding = masks_padding});
  Conditioning result;
  result.context = std::move(encoded.states);
  result.mask = std::move(encoded.mask);
  return result;
}

}  // namespace

Family ltx_video() {
  Family family;
  family.name = "ltx";
  family.title = "LTX-Video";
  family.classes = {{"LTXPipeline"}, {"LTXImageToVideoPipeline"}};
  family.parts = {
      {Part::Kind::text_encoder, "text_encoder", {"T5EncoderModel"}, "tokenizer", true, Part::Text::behind},
      {Part::Kind::denoiser, "transformer", {"LTXVideoTransformer3DModel"}},
      {Part::Kind::autoencoder, "vae", {"AutoencoderKLLTXVideo"}}};
  family.tasks = {.prompt = true};
  family.films = {.conditions = FilmTasks::Conditions::any, .strength = true};
  family.defaults = {
      .steps = 50, .guidance_scale = 3.0f, .sequence_length = 128, .frames = 161, .frame_rate = 25.0};
  family.levels = {.even = true};
  family.condition = ltx_condition<false>;
  family.prepare = prepare_ltx;
  return family;
}

Family ltx_video_conditions() {
  auto family = ltx_video();
  family.name = "ltx-condition";
  family.title = "LTX-Video with conditions";
  family.classes = {{"LTXConditionPipeline"}};
  family.defaults.sequence_length = 256;
  family.levels = {.linear_quadratic = true};
  family.condition = ltx_condition<true>;
  family.prepare = prepare_ltx_conditions;
  return family;
}

}  // namespace daguerre::families

#include <algorithm>
#include <string>

#include "pipeline/components/components.hpp"
#include "pipeline/families/experts.hpp"
#include "pipeline/families/families.hpp"
#include "pipeline/families/wan_preparation.hpp"
#include "text/clean_prompt.hpp"

namespace daguerre::families {
namespace {

/// umT5's states; those behind the prompt's tokens are zeros, which the model was trained to look at, too.
Conditioning wan_condition(const ops::Context& context, const Components& components, const Task& task,
                           const Prompt& prompt, Side side) {
  const auto encoded =
      components.text_encoder("text_encoder")
          .encode(context, side == Side::positive ? prompt.text : prompt.negative.value_or(""),
                  {.max_sequence_length = task.sequence_length, .masks_padding = true});
  Conditioning result;
  result.context = encoded.states;
  const Index width = result.context.dim(-1);
  float* const states = result.context.data();
  for (Index token = 0; token < encoded.mask.size(); ++token)
    if (encoded.mask.data()[token] == 0.0f) std::fill_n(states + token * width, width, 0.0f);
  return result;
}

std::shared_ptr<const Denoiser> combine_wan(std::vector<std::shared_ptr<const Denoiser>> parts,
                                            const Config& index) {
  constexpr double train_timesteps = 1000.0;
  const auto boundary = index.optional_double("boundary_ratio");
  if (parts.size() == 1 || !boundary) return parts.front();
  return experts(parts.at(0), parts.at(1), *boundary * train_timesteps);
}

void settle_wan(Family& family, const DenoiserInfo& denoiser) {
  // Channels that join the sample's are those of a picture.
  family.films.needs_condition = denoiser.in_channels != denoiser.out_channels;
  if (denoiser.kind != wan_deep_kind) return;
  family.defaults.frames = 121;
  family.defaults.frame_rate = 24.0;
}

}  // namespace

Family wan() {
  Family family;
  family.name = "wan";
  family.title = "Wan";
  family.classes = {{"WanPipeline"}, {"WanImageToVideoPipeline"}, {"WanVideoToVideoPipeline"}};
  family.parts = {
      {Part::Kind::text_encoder, "text_encoder", {"UMT5EncoderModel"}, "tokenizer", true, Part::Text::behind},
      {Part::Kind::image_encoder,
       "image_encoder",
       {"CLIPVisionModel", "CLIPVisionModelWithProjection"},
       "image_processor",
       false},
      {Part::Kind::denoiser, "transformer", {"WanTransformer3DModel"}},
      {Part::Kind::denoiser, "transformer_2", {"WanTransformer3DModel"}, "", false},
      {Part::Kind::autoencoder, "vae", {"AutoencoderKLWan"}}};
  family.tasks = {.prompt = true};
  family.films = {.conditions = FilmTasks::Conditions::first_and_last, .video = true};
  family.defaults = {
      .steps = 50, .guidance_scale = 5.0f, .sequence_length = 512, .frames = 81, .frame_rate = 16.0};
  family.clean = text::clean_prompt;
  family.condition = wan_condition;
  family.frames = wan_frames;
  family.settle = settle_wan;
  family.prepare = prepare_wan;
  family.combine = combine_wan;
  family.guider = expert_guider;
  return family;
}

Family wan_vace() {
  auto family = wan();
  family.name = "wan-vace";
  family.title = "Wan VACE";
  family.classes = {{"WanVACEPipeline"}};
  std::erase_if(family.parts, [](const Part& part) { return part.kind == Part::Kind::image_encoder; });
  for (auto& part : family.parts)
    if (part.kind == Part::Kind::denoiser) part.class_names = {"WanVACETransformer3DModel"};
  family.films = {.follows = true, .mask = true, .references = true};
  family.frames = wan_vace_frames;
  family.settle = {};
  family.prepare = prepare_wan_vace;
  return family;
}

}  // namespace daguerre::families

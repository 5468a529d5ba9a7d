#include <algorithm>
#include <cmath>

#include "daguerre/ops/elementwise.hpp"
#include "daguerre/pipeline/ip_adapter.hpp"
#include "daguerre/pipeline/preparation.hpp"
#include "pipeline/families/families.hpp"
#include "pipeline/latents.hpp"
#include "pipeline/name.hpp"

namespace daguerre::families {
namespace {

constexpr double i2vgen_frame_rate = 16.0;

/// How often `part` goes into `whole`, the reference's division: a quotient that is whole but for rounding is
/// one less where `part` was rounded up.
Index times_in(Index whole, double part) {
  const auto x = static_cast<double>(whole);
  return std::llround((x - std::fmod(x, part)) / part);
}

/// Of its width to its height, by how much the picture to begin with may differ from the film's at most.
constexpr double i2vgen_aspect_limit = 20.0;

/// The middle of the picture at that size, scaled by Pillow's box filter; black where it does not reach.
/// Throws ArgumentError for shapes that would be scaled to many times that size.
Image middle_of(const Image& given, Index width, Index height) {
  const double across = static_cast<double>(given.width()) * static_cast<double>(height);
  const double along = static_cast<double>(given.height()) * static_cast<double>(width);
  if (std::max(across, along) > i2vgen_aspect_limit * std::min(across, along))
    throw ArgumentError(pipeline_name,
                        "the condition at frame 0 is " + std::to_string(given.width()) + " x " +
                            std::to_string(given.height()) + ", of which " + std::to_string(width) + " x " +
                            std::to_string(height) +
                            " shows less than a twentieth; expected an aspect ratio nearer to it");
  const auto scale = std::min(static_cast<double>(given.width()) / static_cast<double>(width),
                              static_cast<double>(given.height()) / static_cast<double>(height));
  const auto picture = given.to_channels(3).resized(times_in(given.width(), scale),
                                                    times_in(given.height(), scale), Resampling::box);
  // Towards minus infinity, as the reference divides.
  const auto before = [](Index rest) { return (rest - (rest < 0 ? 1 : 0)) / 2; };
  const Index left = before(picture.width() - width), top = before(picture.height() - height);
  Image result(width, height, 3);
  const Index from = std::max<Index>(left, 0), end = std::min(left + width, picture.width());
  for (Index y = std::max<Index>(top, 0); y < std::min(top + height, picture.height()); ++y)
    std::copy_n(picture.pixels().data() + (y * picture.width() + from) * 3, (end - from) * 3,
                result.pixels().data() + ((y - top) * width + from - left) * 3);
  return result;
}

/// The prompt, as a rule without the encoder's last layer, the picture's embedding and the frame rate.
Conditioning i2vgen_condition(const ops::Context& context, const Components& components, const Task& task,
                              const Prompt& prompt, Side side) {
  const bool positive = side == Side::positive;
  const auto& encoder = *components.image_encoder;
  Conditioning result;
  result.context = components.text_encoder("text_encoder")
                       .encode(context, positive ? prompt.text : prompt.negative.value_or(""),
                               {.skip = task.clip_skip > 0 ? task.clip_skip : 1})
                       .states;
  const auto& info = encoder.info();
  auto embedding = Tensor<float>::zeros({1, info.embed_width});
  if (positive) {
    const auto square = middle_of(task.film.conditions.front().pictures.front(), task.width, task.width);
    embedding = encoder
                    .encode_values(context, to_unit_tensor(square.resized(info.crop_width, info.crop_height,
                                                                          Resampling::bilinear)))
                    .embedding;
  }
  result.extras.emplace("image_embeds", embedding.reshape({1, 1, info.embed_width}));
  const double rate = task.film.frame_rate == 0.0 ? i2vgen_frame_rate : task.film.frame_rate;
  result.extras.emplace("fps", Tensor<float>::full({1}, static_cast<float>(rate)));
  return result;
}

/// The picture's latents, a draw, for the first frame, and for the others how far into the film they are.
void i2vgen_preparation(const Preparation& of, Start& start) {
  const auto& task = of.task;
  const auto picture =
      to_tensor(middle_of(task.film.conditions.front().pictures.front(), task.width, task.height));
  const auto latents = of.encode(picture);
  start.tell = [latents, frames = of.frames()](Conditioning& conditioning, Side, Index image) {
    const auto first = latents.slice(image, image + 1);
    std::vector<Tensor<float>> film{first};
    for (Index i = 1; i < frames; ++i)
      film.push_back(Tensor<float>::full(
          first.shape(), static_cast<float>(static_cast<double>(i) / static_cast<double>(frames - 1))));
    conditioning.extras.insert_or_assign(
        "image_latents",
        concat_leading<float>(film).reshape({1, frames, first.dim(1), first.dim(2), first.dim(3)}));
  };
  prepare_noise(of, start);
}

}  // namespace

Family i2vgen_xl() {
  auto family = text_to_video_sd();
  family.name = "i2vgen-xl";
  family.title = "I2VGen-XL";
  family.classes = {{"I2VGenXLPipeline"}};
  family.parts[1].class_names = {"I2VGenXLUNet"};
  family.parts.push_back(
      {Part::Kind::image_encoder, "image_encoder", {"CLIPVisionModelWithProjection"}, "feature_extractor"});
  family.films = {.conditions = FilmTasks::Conditions::first, .needs_condition = true, .one_picture = true};
  family.defaults = {.guidance_scale = 9.0f, .frames = 16, .frame_rate = i2vgen_frame_rate};
  family.condition = i2vgen_condition;
  family.prepare = i2vgen_preparation;
  return family;
}

}  // namespace daguerre::families

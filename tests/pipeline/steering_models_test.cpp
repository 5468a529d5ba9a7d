// What steers the emoji model, trained as it was: each does visibly what it was trained for.

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "daguerre/media/processors.hpp"
#include "daguerre/pipeline/embedding.hpp"
#include "daguerre/pipeline/lora.hpp"
#include "daguerre/pipeline/pipeline.hpp"
#include "support/catch.hpp"

using namespace daguerre;

namespace {

const auto steering_folder =
    std::filesystem::path(DAGUERRE_TEST_DATA).parent_path().parent_path() / "examples" / "models";

Pipeline steered_model() {
  return Pipeline::load(steering_folder / "emoji", {.precision = Precision::float32, .threads = 1});
}

Request steered_order(const std::string& prompt) {
  Request request;
  request.prompt = prompt;
  request.sampling.steps = 20;
  request.sampling.seed = 42;
  request.guidance.scale = 3.0f;
  return request;
}

/// How much the brightness changes from one pixel to the next inside the 4 x 4 cells of a picture, against
/// how much it does from cell to cell: 0 for pixel art, about 1 for others.
double change_inside_cells(const Image& picture) {
  const auto grey = picture.to_channels(1);
  const auto at = [&grey](Index y, Index x) {
    return static_cast<int>(grey.pixels()[static_cast<std::size_t>(y * grey.width() + x)]);
  };
  double inside = 0.0, between = 0.0;
  for (Index y = 1; y < grey.height(); ++y)
    for (Index x = 1; x < grey.width(); ++x) {
      (x % 4 == 0 ? between : inside) += std::abs(at(y, x) - at(y, x - 1));
      (y % 4 == 0 ? between : inside) += std::abs(at(y, x) - at(y - 1, x));
    }
  return inside / 3.0 / between;  // three steps of four are inside
}

/// How much the brightness changes along the lines of `outline`, against how much it does elsewhere.
double change_along(const Image& picture, const Image& outline) {
  const auto grey = picture.to_channels(1), lines = outline.to_channels(1);
  const auto width = static_cast<std::size_t>(grey.width());
  double on = 0.0, off = 0.0, ons = 0.0, offs = 0.0;
  for (Index y = 1; y + 1 < grey.height(); ++y)
    for (Index x = 1; x + 1 < grey.width(); ++x) {
      const auto i = static_cast<std::size_t>(y) * width + static_cast<std::size_t>(x);
      const auto p = grey.pixels();
      const double change = std::abs(p[i + 1] - p[i - 1]) + std::abs(p[i + width] - p[i - width]);
      const bool is_line = lines.pixels()[i] != 0;
      (is_line ? on : off) += change;
      (is_line ? ons : offs) += 1.0;
    }
  return on / ons / (off / offs);
}

/// The root of the mean squared difference, of 255.
double difference(const Image& a, const Image& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.pixels().size(); ++i)
    sum += std::pow(static_cast<double>(a.pixels()[i]) - static_cast<double>(b.pixels()[i]), 2);
  return std::sqrt(sum / static_cast<double>(a.pixels().size()));
}

}  // namespace

TEST_CASE("the emoji model's LoRA makes pixel art", "[emoji][lora]") {
  const auto pipeline = steered_model();
  const auto sprites = Lora::load(steering_folder / "emoji-lora" / "emoji-sprites.safetensors");
  auto request = steered_order("red apple");
  const double without = change_inside_cells(pipeline.generate(request).images.front());
  request.loras = {{.lora = sprites}};
  const double with = change_inside_cells(pipeline.generate(request).images.front());
  INFO("changes inside cells " << without << ", with the LoRA " << with);
  CHECK(with < 0.5 * without);
}

TEST_CASE("the emoji model's ControlNet keeps to an outline that its prompt does not have",
          "[emoji][control]") {
  const auto pipeline = steered_model();
  const auto star = canny(Image::load(steering_folder / "emoji-embedding.png").to_channels(3));
  auto request = steered_order("red heart");
  const auto without = pipeline.generate(request).images.front();
  request.controls = {
      {.control = pipeline.load_control(steering_folder / "emoji-controlnet"), .image = star.to_channels(3)}};
  const auto with = pipeline.generate(request).images.front();
  INFO("change along the outline " << change_along(without, star) << ", with the ControlNet "
                                   << change_along(with, star));
  CHECK(change_along(with, star) > 2.0 * change_along(without, star));
}

TEST_CASE("the emoji model's embedding means a picture that no words mean", "[emoji][embedding]") {
  const auto pipeline = steered_model();
  const auto star = Image::load(steering_folder / "emoji-embedding.png").to_channels(3);
  double nearest = 255.0;
  for (const char* words : {"star", "purple star", "purple smiling star", "purple heart"})
    nearest = std::min(nearest, difference(pipeline.generate(steered_order(words)).images.front(), star));
  auto request = steered_order("a picture of emoji-embedding");
  request.embeddings = {Embedding::load(steering_folder / "emoji-embedding.safetensors")};
  request.prompt_syntax = PromptSyntax::a1111;
  const double with = difference(pipeline.generate(request).images.front(), star);
  INFO("words " << nearest << ", embedding " << with);
  CHECK(with < 0.7 * nearest);
}

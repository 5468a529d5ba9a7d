// The trained models under examples/models: pictures as they were when they were stored, and what steers
// them.

#include <array>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "daguerre/metrics/psnr.hpp"
#include "daguerre/ops/engine.hpp"
#include "daguerre/pipeline/cascade.hpp"
#include "support/catch.hpp"

using namespace daguerre;
namespace fs = std::filesystem;

namespace {

const fs::path data = fs::path(DAGUERRE_TEST_DATA) / "emoji";
const fs::path shipped = fs::path(DAGUERRE_TEST_DATA).parent_path().parent_path() / "examples" / "models";

Pipeline load(const std::string& model, const std::string& engine = "auto",
              Precision precision = Precision::float32) {
  return Pipeline::load(shipped / model, {.precision = precision, .engine = engine, .threads = 1});
}

/// The order that the stored pictures were made with.
Request order(const std::string& prompt, float guidance = 3.0f) {
  Request options;
  options.prompt = prompt;
  options.sampling.steps = 20;
  options.guidance.scale = guidance;
  options.sampling.seed = 42;
  return options;
}

double decibels(const Image& a, const Image& b) {
  return metrics::psnr(to_unit_tensor(a), to_unit_tensor(b)).front();
}

/// The mean of each channel, 0 to 255.
std::array<double, 3> mean_colour(const Image& image) {
  std::array<double, 3> sum{};
  for (std::size_t i = 0; i < image.pixels().size(); ++i) sum[i % 3] += image.pixels()[i];
  for (double& value : sum) value /= static_cast<double>(image.width() * image.height());
  return sum;
}

Image mirrored(const Image& image) {
  Image result(image.width(), image.height(), image.channels());
  for (Index y = 0; y < image.height(); ++y)
    for (Index x = 0; x < image.width(); ++x)
      for (Index c = 0; c < image.channels(); ++c)
        result.pixels()[static_cast<std::size_t>((y * image.width() + x) * image.channels() + c)] =
            image.pixels()[static_cast<std::size_t>(
                (y * image.width() + image.width() - 1 - x) * image.channels() + c)];
  return result;
}

/// Pearson's correlation of what is left of two pictures at 8 x 8 pixels: where something is, and how bright.
double layout_correlation(const Image& a, const Image& b) {
  const auto x = to_unit_tensor(a.to_channels(1).resized(8, 8)),
             y = to_unit_tensor(b.to_channels(1).resized(8, 8));
  const auto mean = [](const Tensor<float>& t) {
    double sum = 0.0;
    for (const float value : t.span()) sum += static_cast<double>(value);
    return sum / static_cast<double>(t.size());
  };
  const double mean_x = mean(x), mean_y = mean(y);
  double xy = 0.0, xx = 0.0, yy = 0.0;
  for (Index i = 0; i < x.size(); ++i) {
    const double u = static_cast<double>(x.data()[i]) - mean_x, v = static_cast<double>(y.data()[i]) - mean_y;
    xy += u * v;
    xx += u * u;
    yy += v * v;
  }
  return xy / std::sqrt(xx * yy);
}

/// Makes the picture with each engine and precision and holds it against the stored one, which float32 made.
void compare_with_stored(const std::string& model, const Request& options, const std::string& file) {
  const auto expected = Image::load(data / file);
  struct Run {
    std::string engine;
    Precision precision;
    double at_least;
  };
  std::vector<Run> runs;
  for (const auto& engine : ops::engine_names()) {
    runs.push_back({engine, Precision::float32, 40.0});
    runs.push_back({engine, Precision::bfloat16, 30.0});
    if (engine == "onednn") runs.push_back({engine, Precision::int8, 30.0});
  }
  for (const auto& run : runs) {
    INFO(run.engine << ", " << short_name(run.precision));
    const auto made = load(model, run.engine, run.precision).generate(options);
    const double quality = decibels(made.images.front(), expected);
    INFO(quality << " dB");
    CHECK(quality >= run.at_least);
  }
}

}  // namespace

TEST_CASE("the emoji model makes the picture that is stored", "[emoji]") {
  compare_with_stored("emoji", order("red apple"), "red_apple.png");
}

TEST_CASE("the class-conditional emoji model makes the picture that is stored", "[emoji][dit]") {
  Request options;
  options.class_labels = {0};  // face-smiling
  options.sampling.steps = 20;
  options.guidance.scale = 3.0f;
  options.sampling.seed = 42;
  compare_with_stored("emoji-dit", options, "face_smiling.png");
}

TEST_CASE("the emoji cascade makes the picture that is stored", "[emoji][cascade]") {
  const auto expected = Image::load(data / "red_apple_128.png");
  const auto make = [&](const std::string& engine, Precision precision) {
    CascadeOptions options;
    options.load.engine = engine;
    options.load.precision = precision;
    options.load.threads = 1;
    CascadeRequest request;
    request.first.prompt = "red apple";
    request.first.sampling.seed = 42;
    return Cascade::load(shipped / "emoji-cascade", options).generate(request);
  };
  for (const auto& engine : ops::engine_names()) {
    const auto made = make(engine, Precision::float32);
    const double quality = decibels(made.images.front(), expected);
    INFO(engine << ", " << quality << " dB");
    CHECK(quality >= 40.0);
  }
  CHECK(decibels(make("auto", Precision::bfloat16).images.front(), expected) >= 30.0);
}

TEST_CASE("guidance changes the emoji visibly", "[emoji]") {
  const auto pipeline = load("emoji");
  const auto weak = pipeline.generate(order("house", 1.0f)).images.front();
  const auto middle = pipeline.generate(order("house", 3.0f)).images.front();
  const auto strong = pipeline.generate(order("house", 7.5f)).images.front();
  for (const double likeness : {decibels(weak, middle), decibels(middle, strong), decibels(weak, strong)}) {
    INFO(likeness << " dB");
    CHECK(likeness < 30.0);
    CHECK(likeness > 10.0);  // it is still the same house
  }
}

TEST_CASE("a negative prompt takes its colour out of the emoji", "[emoji]") {
  const auto pipeline = load("emoji");
  auto options = order("heart");
  const auto plain = mean_colour(pipeline.generate(options).images.front());
  options.negative_prompt = "red";
  const auto without_red = mean_colour(pipeline.generate(options).images.front());
  INFO("red minus blue: " << plain[0] - plain[2] << ", with \"red\" as negative prompt "
                          << without_red[0] - without_red[2]);
  CHECK(without_red[0] - without_red[2] < plain[0] - plain[2] - 30.0);
}

// With the empty prompt: a text that means an emoji decides on its shape by itself, whatever the picture
// says.
TEST_CASE("image to image at strength 0.5 keeps the layout", "[emoji]") {
  const auto pipeline = load("emoji");
  for (const auto* what : {"house", "soccer ball", "fox"}) {
    const auto start = mirrored(pipeline.generate(order(what)).images.front());  // not one of those learnt
    auto options = order("", 1.0f);
    options.sampling.seed = 7;
    const auto unrelated = pipeline.generate(options).images.front();
    options.input.image = start;
    options.input.strength = 0.5;
    const auto made = pipeline.generate(options).images.front();
    const double kept = layout_correlation(made, start), by_chance = layout_correlation(unrelated, start);
    INFO(what << ": correlation " << kept << ", without the picture " << by_chance);
    CHECK(kept > 0.7);
    CHECK(kept > by_chance + 0.3);
    CHECK(decibels(made, start) < 40.0);  // it was painted anew
  }
}

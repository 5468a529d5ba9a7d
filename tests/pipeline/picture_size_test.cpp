// Sizes taken from the picture to start from, masks, and numbers that are no numbers.
#include <cmath>
#include <limits>

#include "daguerre/pipeline/pipeline.hpp"
#include "pipeline/plan.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/golden.hpp"

using namespace daguerre;
using namespace daguerre::test;

namespace {

Pipeline load_tiny(const char* model = "pipelines/sd1") {
  return Pipeline::load(golden(model), {.precision = Precision::float32, .threads = 1});
}

Request order_from(Index width, Index height) {
  Request options;
  options.prompt = "a cat";
  options.sampling.steps = 2;
  options.sampling.sampler = "ddim";
  options.input.image = Image(width, height, 3);
  return options;
}

using Size = std::pair<Index, Index>;
using Side = std::optional<Index>;

/// Width and height.
Size size_with(Request options, Side width, Side height) {
  options.size = {width, height};
  const auto size = size_of(options, 8, 8, {64, 64});
  return {size[1], size[0]};
}

}  // namespace

TEST_CASE("the size is the picture's, rounded down", "[pipeline]") {
  CHECK(size_with({}, {}, {}) == Size{64, 64});
  CHECK(size_with(order_from(96, 32), {}, {}) == Size{96, 32});
  CHECK(size_with(order_from(103, 39), {}, {}) == Size{96, 32});
  CHECK(size_with(order_from(8, 15), {}, {}) == Size{8, 8});
  // One side: the other in proportion, rounded down, a multiple at least.
  CHECK(size_with(order_from(96, 32), 48, {}) == Size{48, 16});
  CHECK(size_with(order_from(96, 32), {}, 64) == Size{192, 64});
  CHECK(size_with(order_from(103, 39), 96, {}) == Size{96, 32});
  CHECK(size_with(order_from(1000, 10), 96, {}) == Size{96, 8});
  CHECK(size_with(order_from(96, 32), 40, 72) == Size{40, 72});
  CHECK(size_with({}, 40, {}) == Size{40, 64});
  // What cannot be is left for the check of the size to refuse.
  CHECK(size_with(order_from(96, 32), -8, {}).first == -8);
  CHECK(size_with(order_from(96, 32), Index{1} << 62, {}).first == Index{1} << 62);
  for (const auto& [width, height] : {Size{7, 100}, {100, 7}, {1, 1}})
    expect_error<ArgumentError>(
        [&, w = width, h = height] { size_with(order_from(w, h), {}, {}); },
        {"the picture to start from is", "smaller than the 8 x 8", "give a width and a height"});
  CHECK(size_with(order_from(1, 1), 16, {}) == Size{16, 16});
  auto with_latents = order_from(96, 32);
  with_latents.sampling.noise = Tensor<float>::zeros({1, 3, 5, 4});
  CHECK(size_with(with_latents, {}, {}) == Size{40, 24});
}

TEST_CASE("image to image and inpainting keep the picture's size", "[pipeline]") {
  for (const auto* model : {"pipelines/sd1", "pipelines/sd1_inpaint9"}) {
    const auto pipe = load_tiny(model);
    auto order = order_from(21, 13);
    order.input.mask = Image(4, 4, 1);
    std::ranges::fill(order.input.mask.pixels(), std::uint8_t{255});
    const auto made = pipe.generate(order);
    CHECK(made.images[0].width() == 20);
    CHECK(made.images[0].height() == 12);
    CHECK(made.infotexts[0].find("Size: 20x12") != std::string::npos);
    CHECK(made.warnings.empty());
  }
}

TEST_CASE("a picture as cameras take it is warned of", "[pipeline]") {
  const auto pipe = load_tiny();
  const Index side = pipe.info().width;
  auto order = order_from(2 * side, 2 * side + 2);
  order.sampling.steps = 1;
  order.input.strength = 1.0;
  order.guidance.scale = 1.0f;
  const auto made = pipe.generate(order);
  REQUIRE(made.warnings.size() == 1);
  CHECK(made.warnings[0].find("give a width or a height") != std::string::npos);
  order.size.width = 2 * side;
  CHECK(pipe.generate(order).warnings.empty());
}

TEST_CASE("masks are scaled in colour, then grey, then black and white", "[image]") {
  Image mask(2, 1, 3);
  mask.pixels()[0] = 255;  // red, grey 76, beside black
  CHECK(mask_input(mask, 2, 1).data()[0] == 0.0f);
  std::ranges::fill(mask.pixels().first(3), std::uint8_t{128});
  CHECK(mask_input(mask, 2, 1).data()[0] == 1.0f);
  std::ranges::fill(mask.pixels().first(3), std::uint8_t{127});
  CHECK(mask_input(mask, 2, 1).data()[0] == 0.0f);
  CHECK(mask_input(mask, 5, 3).shape() == Shape{1, 3, 5, 1});
  // Transparent white is white.
  Image transparent(1, 1, 4);
  std::ranges::fill(transparent.pixels().first(3), std::uint8_t{255});
  CHECK(mask_input(transparent, 2, 2).data()[3] == 1.0f);
}

TEST_CASE("numbers that are no numbers are refused", "[pipeline]") {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN(),
                   infinity = std::numeric_limits<double>::infinity();
  const auto pipe = load_tiny();
  const auto refused = [&](auto change, std::initializer_list<std::string_view> parts) {
    auto order = order_from(16, 16);
    change(order);
    expect_error<ArgumentError>([&] { (void)pipe.generate(order); }, parts);
  };
  for (const double value : {nan, infinity, -infinity}) {
    const auto single = static_cast<float>(value);
    refused([&](auto& o) { o.input.strength = value; }, {"strength is", "expected 0 to 1"});
    refused([&](auto& o) { o.guidance.scale = single; }, {"guidance scale is", "finite"});
    refused([&](auto& o) { o.guidance.rescale = single; }, {"guidance rescale is", "expected 0 to 1"});
    refused([&](auto& o) { o.sampling.eta = value; }, {"eta is", "expected 0 to 1"});
    refused(
        [&](auto& o) {
          o.input.image = {};
          o.sampling.noise = Tensor<float>::full({1, 8, 8, 4}, single);
        },
        {"latents", "NaN"});
  }
  refused([](auto& o) { o.input.strength = 1.5; }, {"strength is 1.5"});
  refused([](auto& o) { o.sampling.eta = -0.5; }, {"eta is -0.5"});
  refused([](auto& o) { o.sampling.eta = 2.0; }, {"eta is 2"});
  refused([](auto& o) { o.guidance.rescale = 2.0f; }, {"guidance rescale is 2"});
  refused([](auto& o) { o.sampling.steps = -5; }, {"steps is -5, expected at least 1"});
  refused([](auto& o) { o.output.count = -1; }, {"count is -1, expected at least 1"});
  refused([](auto& o) { o.clip_skip = -1; }, {"clip_skip"});
  // What once stood for "not given" is a value like others.
  refused([](auto& o) { o.input.strength = -1.0; }, {"strength is -1", "expected 0 to 1"});
  refused([](auto& o) { o.size.width = 0; }, {"width 0 is not a multiple"});
  refused([](auto& o) { o.size.height = std::numeric_limits<Index>::min(); },
          {"height -9223372036854775808"});
  refused([](auto& o) { o.output.count = 0; }, {"count is 0, expected at least 1"});
  refused([](auto& o) { o.class_name = ""; }, {"takes no class"});
  refused([](auto& o) { o.guidance.image_scale = 1.5f; }, {"guidance scale of the picture"});
  refused([](auto& o) { o.sampling.generator = ""; }, {"generator"});
  refused([&](auto& o) { o.sampling.denoising_end = nan; }, {"denoising_end is", "expected 0 to 1"});
  refused([&](auto& o) { o.sampling.denoising_start = -infinity; }, {"denoising_start is", "expected 0 to 1"});
  refused([](auto& o) { o.input.mask = Image(2, 2, 1), o.input.image = {}; }, {"a mask needs an image"});
  auto nameless = order_from(16, 16);
  nameless.sampling.sampler = "";
  expect_error<Error>([&] { (void)pipe.generate(nameless); }, {"\"\"", "euler-a"});
  // Eta is checked for samplers, too, that make no use of it, and for other kinds of model.
  refused(
      [&](auto& o) {
        o.sampling.sampler = "euler";
        o.sampling.eta = nan;
      },
      {"eta"});
  for (const auto* model : {"pipelines/dit", "pipelines/ddpm"}) {
    const auto other = load_tiny(model);
    Request order;
    order.sampling.steps = 1;
    if (std::string_view(model) == "pipelines/dit") order.class_labels = {1};
    order.sampling.eta = nan;
    expect_error<ArgumentError>([&] { (void)other.generate(order); }, {"eta"});
  }
}

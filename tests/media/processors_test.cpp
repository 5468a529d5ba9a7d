// Control images: edges as OpenCV finds them, sizes as PIL brings them about.
#include "daguerre/media/processors.hpp"

#include <array>

#include "daguerre/weights/safetensors.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace daguerre;
using namespace daguerre::test;

namespace {

Image image_of(const Tensor<float>& values) {
  Image image(values.dim(1), values.dim(0), values.dim(2));
  for (std::size_t i = 0; i < image.pixels().size(); ++i)
    image.pixels()[i] = static_cast<std::uint8_t>(values.span()[i]);
  return image;
}

std::vector<int> values_of(const Image& image) {
  return {image.pixels().begin(), image.pixels().end()};
}

}  // namespace

TEST_CASE("edges are those that OpenCV finds", "[image]") {
  const auto recorded =
      weights::SafetensorsFile::open(std::string(DAGUERRE_TEST_DATA) + "/processors/canny.safetensors");
  for (const std::string source : {"colour", "grey"}) {
    const Image image = image_of(recorded.read<float>("in." + source));
    for (const auto& [aperture, l2, low, high] : {std::array{3, 0, 100, 200},
                                                  {3, 1, 100, 200},
                                                  {3, 0, 50, 120},
                                                  {5, 0, 1200, 2500},
                                                  {5, 1, 1500, 3000},
                                                  {7, 0, 20000, 50000},
                                                  {7, 1, 20000, 50000}}) {
      const std::string name = source + "." + std::to_string(aperture) + "." + std::to_string(l2) + "." +
                               std::to_string(low) + "." + std::to_string(high);
      INFO(name);
      const CannyOptions options{static_cast<double>(low), static_cast<double>(high), aperture, l2 == 1};
      CHECK(values_of(canny(image, options)) == values_of(image_of(recorded.read<float>("out." + name))));
      if (source == "colour")
        CHECK(values_of(canny(image.to_channels(4), options)) == values_of(canny(image, options)));
    }
  }
  expect_error<ArgumentError>([] { (void)canny(Image(2, 2, 1), {.aperture = 4}); }, {"aperture is 4"});
  expect_error<ArgumentError>([] { (void)canny(Image()); }, {"empty"});
}

TEST_CASE("pictures are fitted without changing their shape", "[image]") {
  Image image(4, 2, 1);
  for (std::size_t i = 0; i < 8; ++i) image.pixels()[i] = static_cast<std::uint8_t>(10 * i);
  CHECK(values_of(fitted(image, 2, 2, Fit::crop)) == std::vector<int>{10, 20, 50, 60});
  const Image padded = fitted(image, 4, 4, Fit::pad, Resampling::lanczos, {1, 2, 3});
  CHECK(padded.channels() == 3);
  CHECK(values_of(padded.cropped(0, 1, 4, 2).to_channels(1)) == values_of(image));
  CHECK(values_of(padded.cropped(0, 0, 1, 1)) == std::vector<int>{1, 2, 3});
  CHECK(values_of(padded.cropped(3, 3, 1, 1)) == std::vector<int>{1, 2, 3});
  CHECK(fitted(image, 3, 5, Fit::stretch).height() == 5);
}

TEST_CASE("pictures are inverted, made black and white, and put over a colour", "[image]") {
  Image image(2, 1, 4);
  const std::array<std::uint8_t, 8> pixels{10, 200, 30, 128, 250, 240, 230, 0};
  std::copy(pixels.begin(), pixels.end(), image.pixels().begin());
  CHECK(values_of(inverted(image)) == std::vector<int>{245, 55, 225, 128, 5, 15, 25, 0});
  CHECK(values_of(scribble(image)) == std::vector<int>{255, 0});
  CHECK(values_of(thresholded(image)) == std::vector<int>{0, 255});
  // PIL's paste with alpha for the mask: (colour (255 - a) + value a + 128) / 255, rounded its way.
  CHECK(values_of(image.over(255, 255, 255)) == std::vector<int>{132, 227, 142, 255, 255, 255});
  CHECK(image.over(0, 0, 0).channels() == 3);
  CHECK(values_of(Image(1, 1, 4).over(7, 7, 7)) == std::vector<int>{7});
  expect_error<ArgumentError>([&] { (void)image.cropped(1, 0, 2, 1); }, {"not inside"});
}

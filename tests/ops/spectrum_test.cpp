#include "daguerre/ops/spectrum.hpp"

#include <cmath>
#include <complex>
#include <numbers>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/golden.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;
using namespace daguerre::test;

namespace {

using Plane = std::vector<std::complex<double>>;

/// Direction -1: the transform; +1: its inverse, not yet divided by the number of pixels.
Plane transformed(const Plane& plane, Index height, Index width, double direction) {
  Plane result(plane.size());
  for (Index v = 0; v < height; ++v)
    for (Index u = 0; u < width; ++u)
      for (Index y = 0; y < height; ++y)
        for (Index x = 0; x < width; ++x) {
          const double turns = static_cast<double>(v * y) / static_cast<double>(height) +
                               static_cast<double>(u * x) / static_cast<double>(width);
          result[static_cast<std::size_t>(v * width + u)] +=
              plane[static_cast<std::size_t>(y * width + x)] *
              std::polar(1.0, direction * 2.0 * std::numbers::pi * turns);
        }
  return result;
}

/// Whether a frequency is one of the two in the middle, once 0 is shifted to `size / 2`.
bool is_in_middle(Index frequency, Index size) {
  const Index shifted = (frequency + size / 2) % size;
  return shifted == size / 2 || shifted == size / 2 - 1;
}

Tensor<float> expected_filter(const Tensor<float>& x, float scale) {
  const Index height = x.dim(1), width = x.dim(2), channels = x.dim(3), pixels = height * width;
  Tensor<float> y(x.shape());
  for (Index n = 0; n < x.dim(0); ++n)
    for (Index c = 0; c < channels; ++c) {
      Plane plane(static_cast<std::size_t>(pixels));
      for (Index p = 0; p < pixels; ++p)
        plane[static_cast<std::size_t>(p)] = static_cast<double>(x.data()[(n * pixels + p) * channels + c]);
      auto spectrum = transformed(plane, height, width, -1.0);
      for (Index v = 0; v < height; ++v)
        for (Index u = 0; u < width; ++u)
          if (is_in_middle(v, height) && is_in_middle(u, width))
            spectrum[static_cast<std::size_t>(v * width + u)] *= static_cast<double>(scale);
      const auto back = transformed(spectrum, height, width, 1.0);
      for (Index p = 0; p < pixels; ++p)
        y.data()[(n * pixels + p) * channels + c] =
            static_cast<float>(back[static_cast<std::size_t>(p)].real() / static_cast<double>(pixels));
    }
  return y;
}

}  // namespace

TEST_CASE("low frequencies are scaled as by a Fourier transform", "[ops][free_u]") {
  for (const auto& engine : ops::engine_names()) {
    const auto context = context_for(engine);
    unsigned seed = 0;
    // Even and odd sides, short ones; more channels than are worked on at once.
    for (const auto& shape : {Shape{2, 6, 8, 3}, Shape{1, 5, 7, 2}, Shape{1, 4, 5, 17}, Shape{1, 7, 6, 1},
                              Shape{1, 2, 3, 2}, Shape{1, 1, 4, 2}, Shape{1, 3, 1, 2}, Shape{1, 1, 1, 3}})
      for (const float scale : {0.2f, 0.0f, 1.7f}) {
        INFO(engine << ": " << to_string(shape) << " by " << scale);
        const auto x = random_tensor(shape, ++seed);
        const auto y = ops::scale_low_frequencies(context, x, scale);
        const auto expected = expected_filter(x, scale);
        REQUIRE(y.shape() == shape);
        // Of one pixel times 0 nothing is left that an error could be relative to.
        if (shape.size() == shape[3])
          CHECK(difference(y, expected).max_abs < 1e-6);
        else
          CHECK(difference(y, expected).rel_l2 < 1e-6);
        CHECK(difference(y, x).rel_l2 > 1e-2);
      }
  }
}

TEST_CASE("a factor of one leaves every bit, and a constant is nothing but its lowest frequency",
          "[ops][free_u]") {
  const auto context = context_for("native");
  const auto x = random_tensor({2, 6, 5, 4}, 1);
  CHECK(difference(ops::scale_low_frequencies(context, x, 1.0f), x).max_abs == 0.0);
  const auto level = ops::scale_low_frequencies(context, Tensor<float>::full({1, 6, 5, 2}, 3.0f), 0.5f);
  CHECK(difference(level, Tensor<float>::full({1, 6, 5, 2}, 1.5f)).max_abs < 1e-6);
  expect_error<ArgumentError>(
      [&] {
        (void)ops::scale_low_frequencies(context, random_tensor({6, 5, 4}, 1), 0.5f);
      },
      {"scale_low_frequencies", "[6, 5, 4]", "[N, H, W, C]"});
}

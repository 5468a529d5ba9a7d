#include "daguerre/pipeline/guidance.hpp"

#include <cmath>

#include "daguerre/pipeline/noise.hpp"
#include "daguerre/tensor/layout.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/golden.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;
using namespace daguerre::test;

TEST_CASE("guidance extrapolates from the unconditional prediction", "[pipeline]") {
  const auto base = random_tensor({2, 3, 4, 4}, 1), prompt = random_tensor({2, 3, 4, 4}, 2);
  const auto guided = apply_guidance(base, prompt, {.scale = 3.0f});
  for (Index i = 0; i < base.size(); ++i)
    CHECK(guided.data()[i] == Approx(3.0f * prompt.data()[i] - 2.0f * base.data()[i]).margin(1e-5));
  CHECK(difference(apply_guidance(base, prompt, {.scale = 1.0f}), prompt).rel_l2 < 1e-6);
  CHECK_FALSE(Guidance{.scale = 1.0f}.is_on());
  expect_error<ArgumentError>([&] { apply_guidance(base, base.slice(0, 1), {}); }, {"[2, 3, 4, 4]"});
}

TEST_CASE("rescaled guidance has the conditional prediction's deviation, image by image", "[pipeline]") {
  const auto base = random_tensor({2, 5, 5, 4}, 3), prompt = random_tensor({2, 5, 5, 4}, 4, 2.0f);
  const auto rescaled = apply_guidance(base, prompt, {.scale = 9.0f, .rescale = 1.0f});
  const auto deviation = [](const Tensor<float>& x) {
    double mean = 0, squares = 0;
    for (const float v : x.span()) mean += static_cast<double>(v) / static_cast<double>(x.size());
    for (const float v : x.span())
      squares += (static_cast<double>(v) - mean) * (static_cast<double>(v) - mean);
    return std::sqrt(squares / static_cast<double>(x.size() - 1));
  };
  for (Index n = 0; n < 2; ++n) CHECK(deviation(rescaled[n]) == Approx(deviation(prompt[n])).epsilon(1e-5));
}

TEST_CASE("every image has a noise stream of its own, drawn in the reference's order", "[pipeline]") {
  SeededNoise both("torch-cpu", {5, 6}), second("torch-cpu", {6});
  const auto use = NoiseStreams::Use::initial;
  const auto batch = both.draw(use, {2, 4, 6, 4});
  const auto single = second.draw(use, {1, 4, 6, 4});
  CHECK(difference(batch.slice(1, 2), single).max_abs == 0.0);
  TorchCpuGenerator generator(6);
  CHECK(difference(single, to_channels_last(generator.randn({1, 4, 4, 6}))).max_abs == 0.0);
  CHECK(difference(both.draw(use, {2, 4, 6, 4}), batch).max_abs > 0.0);
  expect_error<ArgumentError>([&] { both.draw(use, {1, 4, 6, 4}); }, {"2 generators"});
}

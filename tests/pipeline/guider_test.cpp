#include "daguerre/pipeline/guider.hpp"

#include <cmath>

#include "daguerre/core/layout.hpp"
#include "daguerre/pipeline/noise.hpp"
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

namespace {

/// A denoiser that answers with x, plus what it is told: each branch's label, and the mean of its picture.
Tensor<float> answer(const Tensor<float>& x, const Conditioning& conditioning) {
  auto y = x.clone();
  const Index branch = x.size() / x.dim(0);
  for (Index i = 0; i < y.size(); ++i) {
    const auto n = static_cast<std::size_t>(i / branch);
    y.data()[i] += static_cast<float>(conditioning.labels.at(n));
    if (!conditioning.concat.empty()) y.data()[i] += conditioning.concat[static_cast<Index>(n)].data()[0];
  }
  return y;
}

Conditioning labelled(std::int32_t label, float picture = 0.0f) {
  Conditioning result;
  result.labels = {label};
  if (picture != 0.0f) result.concat = Tensor<float>::full({1, 2, 2, 1}, picture);
  return result;
}

/// By how much the guider's prediction is off x, in each channel.
std::vector<float> shift_of(const Guider& guider, const Conditions& conditions,
                            std::vector<Index>* passes = nullptr) {
  const auto x = random_tensor({1, 2, 2, 3}, 3);
  const auto run = guider.start(conditions);
  const auto y = (*run)(
      [&](const Tensor<float>& branches, const Conditioning& conditioning) {
        if (passes != nullptr) passes->push_back(branches.dim(0));
        return answer(branches, conditioning);
      },
      x, {});
  REQUIRE(y.shape() == x.shape());
  std::vector<float> result;
  for (Index c = 0; c < 3; ++c) result.push_back(y.data()[c] - x.data()[c]);
  return result;
}

void check_shift(const std::vector<float>& shift, const std::vector<float>& expected) {
  for (std::size_t c = 0; c < 3; ++c) CHECK(std::abs(shift.at(c) - expected.at(c)) < 1e-4f);
}

}  // namespace

TEST_CASE("guiders combine what the denoiser says under each condition", "[pipeline][guider]") {
  const Conditions both{labelled(3), labelled(1)};
  std::vector<Index> passes;
  check_shift(shift_of(ClassifierFreeGuidance({.scale = 2.0f}), both, &passes), {5, 5, 5});
  CHECK(passes == std::vector<Index>{2});  // both halves at once
  check_shift(shift_of(NoGuidance(), {labelled(3), {}}, &passes), {3, 3, 3});
  CHECK(passes == std::vector<Index>{2, 1});
  // Only the first two channels are steered.
  check_shift(shift_of(ClassifierFreeGuidance({.scale = 2.0f, .channels = 2}), both), {5, 5, 3});
  // neither 1, picture 1 + 10, both 3 + 10: 1 + 2 * (13 - 11) + 0.5 * (11 - 1)
  check_shift(
      shift_of(ImageTextGuidance({.scale = 2.0f, .image_scale = 0.5f}), {labelled(3, 10), labelled(1, 10)}),
      {10, 10, 10});
  expect_error<ArgumentError>([&] { ClassifierFreeGuidance({}).start({labelled(1), {}}); }, {"negative"});
}

TEST_CASE("every frame of a film has a scale of its own", "[pipeline][guider]") {
  const auto predict = [](const Tensor<float>&, const Conditioning& conditioning) {
    REQUIRE(conditioning.labels == std::vector<std::int32_t>{1, 3});
    Tensor<float> result({2, 3, 1, 1, 2});
    for (Index i = 0; i < result.size(); ++i) result.data()[i] = i < 6 ? 1.0f : 3.0f;
    return result;
  };
  const auto scaled = [&](const Guidance& guidance) {
    const auto run = FramewiseGuidance(guidance).start({labelled(3), labelled(1)});
    return (*run)(predict, random_tensor({1, 3, 1, 1, 2}, 4), {});
  };
  // 1 + scale * 2: from 1 to 4, and from 2 to 3.
  for (const auto& [guidance, scales] :
       {std::pair{Guidance{.scale = 4.0f}, std::array{1.0f, 2.5f, 4.0f}},
        std::pair{Guidance{.scale = 3.0f, .first_scale = 2.0f}, std::array{2.0f, 2.5f, 3.0f}}}) {
    const auto result = scaled(guidance);
    for (Index i = 0; i < 6; ++i)
      CHECK(result.data()[i] == Approx(1.0f + 2.0f * scales[static_cast<std::size_t>(i / 2)]));
  }
  expect_error<ArgumentError>([] { FramewiseGuidance({.rescale = 0.5f}); }, {"[guidance]", "rescale is 0.5"});
  expect_error<ArgumentError>(
      [&] {
        FramewiseGuidance({}).start({labelled(3), labelled(1), 0.5f});
      },
      {"[guidance]", "one prompt"});
  const auto run = FramewiseGuidance({}).start({labelled(3), labelled(1)});
  expect_error<ArgumentError>(
      [&] {
        (*run)([](const Tensor<float>& x, const Conditioning&) { return x; }, random_tensor({1, 2, 2, 3}, 5),
               {});
      },
      {"[guidance]", "film"});
}

TEST_CASE("embedded guidance tells the denoiser its scale", "[pipeline][guider]") {
  const auto run = EmbeddedGuidance(8.5f).start({labelled(2), {}});
  (*run)(
      [&](const Tensor<float>& x, const Conditioning& conditioning) {
        REQUIRE(conditioning.extras.contains("guidance"));
        CHECK(conditioning.extras.at("guidance").data()[0] == 8.5f);
        return x;
      },
      random_tensor({1, 2, 2, 3}, 3), {});
  DenoiserInfo distilled;
  distilled.embeds_guidance = true;
  CHECK_FALSE(standard_guider({}, distilled)->needs_negative());
  CHECK(standard_guider({}, {})->needs_negative());
  CHECK_FALSE(standard_guider({.scale = 1.0f}, {})->needs_negative());
}

TEST_CASE("conditions of one image must be alike", "[pipeline][conditioning]") {
  Conditioning with, without, wide;
  with.context = Tensor<float>::zeros({1, 2, 3});
  wide.context = Tensor<float>::zeros({1, 2, 4});
  expect_error<ArgumentError>([&] { joined(std::array{with, without}); }, {"only some", "context"});
  expect_error<ArgumentError>([&] { joined(std::array{with, wide}); }, {"[1, 2, 4]", "[1, 2, 3]"});
  without.context = Tensor<float>::full({1, 2, 3}, 1.0f);
  without.extras.emplace("time_ids", Tensor<float>::zeros({1, 6}));
  expect_error<ArgumentError>([&] { joined(std::array{with, without}); }, {"only some", "time_ids"});
  with.extras.emplace("time_ids", Tensor<float>::full({1, 6}, 2.0f));
  const auto both = joined(std::array{with, without});
  CHECK(both.context.shape() == Shape{2, 2, 3});
  CHECK(both.context.data()[6] == 1.0f);
  CHECK(both.extras.at("time_ids").shape() == Shape{2, 6});
  const auto zeros = zeros_like(both);
  CHECK(zeros.extras.at("time_ids").data()[0] == 0.0f);
  CHECK(zeros.context.data()[6] == 0.0f);
}

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>

#include "daguerre/ops/joint_modulation.hpp"
#include "daguerre/ops/norm.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/golden.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;
using ops::ChannelChunk;

TEST_CASE("modulated layer norm and gates do what their formulas say", "[ops][modulation]") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 generator(seed);
  const auto draw = [&](int most) { return std::uniform_int_distribution<Index>(1, most)(generator); };
  const Index batch = draw(3), length = draw(40), channels = draw(70);
  const auto x = test::random_tensor({batch, length, channels}, seed + 1, 3.0f);
  const auto residual = test::random_tensor({batch, length, channels}, seed + 2);
  const auto parts = test::random_tensor({batch, 3 * channels}, seed + 3);
  Tensor<float> normed(x.shape()), gated(x.shape()), rms(x.shape());
  constexpr float epsilon = 1e-3f;
  for (Index n = 0; n < batch; ++n)
    for (Index l = 0; l < length; ++l) {
      const float* row = x.data() + (n * length + l) * channels;
      double mean = 0.0, variance = 0.0, square = 0.0;
      for (Index c = 0; c < channels; ++c) mean += row[c] / static_cast<double>(channels);
      for (Index c = 0; c < channels; ++c)
        square += static_cast<double>(row[c]) * static_cast<double>(row[c]) / static_cast<double>(channels);
      for (Index c = 0; c < channels; ++c)
        variance += (row[c] - mean) * (row[c] - mean) / static_cast<double>(channels);
      for (Index c = 0; c < channels; ++c) {
        const float* part = parts.data() + n * 3 * channels + c;
        const Index i = (n * length + l) * channels + c;
        const double unit = (row[c] - mean) / std::sqrt(variance + static_cast<double>(epsilon));
        normed.data()[i] = static_cast<float>(unit * (1.0 + part[2 * channels]) + part[0]);
        gated.data()[i] = residual.data()[i] + part[channels] * row[c];
        const double scaled =
            row[c] / std::sqrt(square + static_cast<double>(epsilon)) * (1.0 + part[2 * channels]) + part[0];
        rms.data()[i] = static_cast<float>(scaled / (1.0 + std::exp(-scaled)));
      }
    }
  const auto context = test::context_for("native");
  const auto actual = ops::modulated_layer_norm<float>(context, x, {parts, 2}, {parts, 0}, epsilon);
  CHECK(test::difference(actual, normed).rel_l2 < 1e-6);
  const auto rounded = ops::modulated_layer_norm<bfloat16>(context, x, {parts, 2}, {parts, 0}, epsilon);
  CHECK(test::difference(rounded.to<float>(), normed).rel_l2 < 4e-3);
  const auto activated =
      ops::modulated_rms_norm<float>(context, x, {parts, 2}, {parts, 0}, epsilon, ops::Activation::silu);
  CHECK(test::difference(activated, rms).rel_l2 < 1e-6);
  CHECK(test::difference(ops::add_gated(context, residual, {parts, 1}, x), gated).rel_l2 < 1e-7);
}

TEST_CASE("a prompt's tokens and a picture's are modulated by their own parts", "[ops][modulation]") {
  const auto context = test::context_for("native");
  const Index prompt = 3, channels = 10;
  constexpr float epsilon = 1e-3f;
  const auto x = test::random_tensor({2, 8, channels}, 1, 3.0f);
  const auto residual = test::random_tensor({2, 8, channels}, 2);
  const auto parts = test::random_tensor({2, 4 * channels}, 3);
  const auto gamma = test::random_tensor({channels}, 4), beta = test::random_tensor({channels}, 5);
  const auto normed = ops::joint_modulated_norm<float>(
      context, x, prompt, gamma, beta, {{parts, 0}, {parts, 1}}, {{parts, 2}, {parts, 3}}, epsilon);
  const auto gated = ops::add_joint_gated(context, residual, prompt, {{parts, 3}, {parts, 2}}, x);
  // The norm with its parameters, then each run of tokens by itself.
  const auto plain = ops::layer_norm<float>(context, x, gamma, beta, epsilon);
  double worst = 0.0;
  for (Index n = 0; n < 2; ++n)
    for (Index l = 0; l < 8; ++l)
      for (Index c = 0; c < channels; ++c) {
        const auto part = [&](int index) { return parts.data()[n * 4 * channels + index * channels + c]; };
        const Index i = (n * 8 + l) * channels + c;
        const bool told = l < prompt;
        const float expected = plain.data()[i] * (1.0f + part(told ? 0 : 1)) + part(told ? 2 : 3);
        const float sum = residual.data()[i] + part(told ? 3 : 2) * x.data()[i];
        worst = std::max({worst, std::abs(static_cast<double>(expected - normed.data()[i])),
                          std::abs(static_cast<double>(sum - gated.data()[i]))});
      }
  CHECK(worst < 1e-5);
  const auto all = ops::joint_modulated_norm<float>(context, x, 8, gamma, beta, {{parts, 0}, {parts, 1}},
                                                    {{parts, 2}, {parts, 3}}, epsilon);
  CHECK(test::difference(all[0].slice(0, prompt), normed[0].slice(0, prompt)).max_abs == 0.0);
  CHECK(test::difference(all, normed).max_abs > 0.1);
  const auto gate = [&](Index length) {
    ops::add_joint_gated(context, residual, length, {{parts, 3}, {parts, 2}}, x);
  };
  test::expect_error<ArgumentError>([&] { gate(9); }, {"a prompt of 9 tokens", "[2, 8, 10]"});
  test::expect_error<ArgumentError>([&] { gate(-1); }, {"-1"});
  test::expect_error<ArgumentError>(
      [&] {
        ops::joint_modulated_norm<float>(context, x, prompt, parts, beta, {{parts, 0}, {parts, 1}},
                                         {{parts, 2}, {parts, 4}}, epsilon);
      },
      {"part 4"});
}

TEST_CASE("maps modulate a group norm place by place", "[ops][norm]") {
  const auto context = test::context_for("native");
  const Index channels = 4;
  // Two films of three frames of 5 x 7; maps of 2 x 3, and some that are larger than what they lie over.
  const auto x = test::random_tensor({2, 3, 5, 7, channels}, 1, 2.0f);
  const auto gamma = test::random_tensor({channels}, 2), beta = test::random_tensor({channels}, 3);
  const auto plain = ops::group_norm<float>(context, x, gamma, beta, 2, 1e-5f);
  for (const auto& [h, w] : {std::pair<Index, Index>{2, 3}, {5, 7}, {1, 1}, {9, 8}}) {
    const auto maps = test::random_tensor({2, 3, h, w, 2 * channels}, 4);
    const auto actual =
        ops::group_norm<float>(context, x, gamma, beta, 2, 1e-5f, ops::Activation::relu, {.maps = &maps});
    double worst = 0.0;
    for (Index frame = 0; frame < 6; ++frame)
      for (Index row = 0; row < 5; ++row)
        for (Index column = 0; column < 7; ++column)
          for (Index c = 0; c < channels; ++c) {
            const float* map = maps.data() + ((frame * h + row * h / 5) * w + column * w / 7) * 2 * channels;
            const Index i = ((frame * 5 + row) * 7 + column) * channels + c;
            const float expected = std::max(0.0f, plain.data()[i] * map[c] + map[channels + c]);
            worst = std::max(worst, std::abs(static_cast<double>(expected - actual.data()[i])));
          }
    INFO(h << " x " << w);
    CHECK(worst < 1e-5);
  }
  const auto other = test::random_tensor({2, 2, 5, 7, 2 * channels}, 5);
  test::expect_error<ArgumentError>(
      [&] {
        ops::group_norm<float>(context, x, gamma, beta, 2, 1e-5f, ops::Activation::none, {.maps = &other});
      },
      {"maps [2, 2, 5, 7, 8]", "[2, 3, 5, 7, 4]"});
}

TEST_CASE("tokens may be modulated by rows of their own", "[ops][modulation]") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 generator(seed);
  const auto draw = [&](int most) { return std::uniform_int_distribution<Index>(1, most)(generator); };
  const Index batch = draw(3), length = 30 + draw(40), channels = draw(40), known = draw(4);
  const auto x = test::random_tensor({batch, length, channels}, seed + 1);
  const auto parts = test::random_tensor({known, 3 * channels}, seed + 2);
  std::vector<std::int32_t> rows;
  while (static_cast<Index>(rows.size()) < batch * length)
    rows.resize(rows.size() + static_cast<std::size_t>(draw(20)),
                static_cast<std::int32_t>(draw(static_cast<int>(known)) - 1));
  rows.resize(static_cast<std::size_t>(batch * length));
  // The same, each token being an image.
  Tensor<float> spread({batch * length, 3 * channels});
  for (Index token = 0; token < batch * length; ++token)
    std::copy_n(parts.data() + rows[static_cast<std::size_t>(token)] * 3 * channels, 3 * channels,
                spread.data() + token * 3 * channels);
  const auto context = test::context_for("native");
  const auto tokens = x.reshape({batch * length, 1, channels});
  const auto normed = ops::modulated_layer_norm<float>(context, x, {parts, 2, rows}, {parts, 0, rows}, 1e-6f);
  CHECK(test::difference(normed,
                         ops::modulated_layer_norm<float>(context, tokens, {spread, 2}, {spread, 0}, 1e-6f)
                             .reshape(x.shape()))
            .max_abs == 0.0);
  const auto gated = ops::add_gated(context, x, {parts, 1, rows}, x);
  CHECK(test::difference(gated, ops::add_gated(context, tokens, {spread, 1}, tokens).reshape(x.shape()))
            .max_abs == 0.0);
  rows.back() = static_cast<std::int32_t>(known);
  test::expect_error<ArgumentError>([&] { ops::add_gated(context, x, {parts, 1, rows}, x); }, {"rows"});
  rows.pop_back();
  test::expect_error<ArgumentError>(
      [&] {
        ops::add_gated(context, x, {parts, 1, rows}, x);
      },
      {"rows for the tokens"});
}

TEST_CASE("modulation of another shape is refused", "[ops][modulation]") {
  const auto context = test::context_for("native");
  const auto x = Tensor<float>::zeros({2, 3, 4}), parts = Tensor<float>::zeros({2, 8});
  const auto norm = [&](const Tensor<float>& input, ChannelChunk scale, ChannelChunk shift) {
    ops::modulated_layer_norm<float>(context, input, scale, shift, 1e-6f);
  };
  test::expect_error<ArgumentError>([&] { norm(x, {parts, 2}, {parts, 0}); }, {"part 2 of [2, 8]"});
  test::expect_error<ArgumentError>([&] { norm(x, {parts, 0}, {parts, -1}); }, {"part -1"});
  const auto other = Tensor<float>::zeros({1, 8});
  test::expect_error<ArgumentError>([&] { norm(x, {other, 0}, {parts, 0}); }, {"[1, 8]"});
  test::expect_error<ArgumentError>([&] { norm(parts, {parts, 0}, {parts, 0}); }, {"[N, L, C]"});
  test::expect_error<ArgumentError>(
      [&] {
        ops::add_gated(context, Tensor<float>::zeros({2, 3, 5}), {parts, 0}, x);
      },
      {"[2, 3, 5]"});
}

TEST_CASE("what has come apart is normed as the whole is, bit for bit", "[ops][norm]") {
  const auto context = test::context_for("native");
  const Index channels = 6, frame = 13 * 11;  // rows that are summed together lie in two frames
  const auto film = test::random_tensor({1, 5, 13, 11, channels}, 1, 2.0f);
  const auto gamma = test::random_tensor({channels}, 2), beta = test::random_tensor({channels}, 3);
  const auto whole = ops::group_norm<float>(context, film, gamma, beta, 3, 1e-5f);
  std::vector<Tensor<float>> frames;
  for (Index i = 0; i < 5; ++i) frames.push_back(film[0].slice(i, i + 1));
  const auto statistics = ops::group_statistics(context, frames, 3);
  REQUIRE(statistics.size() == 3);
  for (Index i = 0; i < 5; ++i) {
    const auto part = ops::group_norm<float>(context, frames[static_cast<std::size_t>(i)], gamma, beta, 3,
                                             1e-5f, ops::Activation::none, {.statistics = statistics});
    CHECK(std::equal(part.span().begin(), part.span().end(), whole.span().begin() + i * frame * channels));
  }
  test::expect_error<ArgumentError>([&] { (void)ops::group_statistics(context, {}, 3); }, {"no parts"});
  test::expect_error<ArgumentError>([&] { (void)ops::group_statistics(context, frames, 4); }, {"6 channels"});
  frames.push_back(test::random_tensor({1, 2, 2, 3}, 4));
  test::expect_error<ArgumentError>([&] { (void)ops::group_statistics(context, frames, 3); },
                                    {"[1, 2, 2, 3]"});
  test::expect_error<ArgumentError>(
      [&] {
        (void)ops::group_norm<float>(context, film, gamma, beta, 2, 1e-5f, ops::Activation::none,
                                     {.statistics = statistics});
      },
      {"3 statistics", "2 groups"});
}

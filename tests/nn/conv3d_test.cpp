#include "daguerre/nn/conv3d.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "daguerre/ops/elementwise.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/golden.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;
using namespace daguerre::test;

namespace {

constexpr Index in = 5, out = 7;
using nn::FilmGeometry;
using nn::FrameBorder;

const std::vector<std::pair<std::string, FilmGeometry>>& geometries() {
  static const std::vector<std::pair<std::string, FilmGeometry>> all{
      {"causal", FilmGeometry::causal(3, 3, 1)},
      {"causal, repeated", FilmGeometry::causal(3, 3, 1, FrameBorder::repeated)},
      {"centred", FilmGeometry::centred(3, 3)},
      {"centred, repeated", FilmGeometry::centred(3, 3, FrameBorder::repeated)},
      {"in time", FilmGeometry::centred(3, 1)},
      {"in space", FilmGeometry::causal(1, 3, 1)},
      {"halved in time", {3, 1, 2, 2, 0, FrameBorder::repeated, {}}},
      {"halved, zeros", {3, 3, 2, 2, 0, FrameBorder::zeros, ops::ConvGeometry{2, 0, 0, 1, 1}}},
      {"inside", {3, 1, 1, 0, 0, FrameBorder::zeros, {}}}};
  return all;
}

weights::StateDict film_weights(const Tensor<float>& weight, const Tensor<float>& bias) {
  weights::SafetensorsWriter writer;
  writer.add("weight", weight);
  writer.add("bias", bias);
  return weights::StateDict({weights::SafetensorsFile::from_memory(
      std::make_shared<const std::vector<std::byte>>(writer.to_bytes()), "conv")});
}

/// The sum as it is defined.
Tensor<float> expected_film(const Tensor<float>& x, const Tensor<float>& weight, const Tensor<float>& bias,
                            const FilmGeometry& g) {
  const Index frames = x.dim(1), height = x.dim(2), width = x.dim(3);
  const Index count = (frames + g.before + g.behind - g.frames) / g.stride + 1;
  const auto& s = g.space;
  const Index high = (height + s.pad_top + s.pad_bottom - g.side) / s.stride + 1;
  const Index wide = (width + s.pad_left + s.pad_right - g.side) / s.stride + 1;
  Tensor<float> y({x.dim(0), count, high, wide, out});
  const auto value = [&](Index n, Index frame, Index row, Index column, Index c) {
    if (g.border == FrameBorder::repeated) frame = std::clamp<Index>(frame, 0, frames - 1);
    if (frame < 0 || frame >= frames || row < 0 || row >= height || column < 0 || column >= width) return 0.0;
    return static_cast<double>(x.data()[(((n * frames + frame) * height + row) * width + column) * in + c]);
  };
  float* to = y.data();
  for (Index n = 0; n < x.dim(0); ++n)
    for (Index f = 0; f < count; ++f)
      for (Index row = 0; row < high; ++row)
        for (Index column = 0; column < wide; ++column)
          for (Index o = 0; o < out; ++o) {
            double sum = static_cast<double>(bias.data()[o]);
            const float* w = weight.data() + o * in * g.frames * g.side * g.side;
            for (Index c = 0; c < in; ++c)
              for (Index t = 0; t < g.frames; ++t)
                for (Index i = 0; i < g.side; ++i)
                  for (Index k = 0; k < g.side; ++k)
                    sum += value(n, f * g.stride + t - g.before, row * s.stride + i - s.pad_top,
                                 column * s.stride + k - s.pad_left, c) *
                           static_cast<double>(*w++);
            *to++ = static_cast<float>(sum);
          }
  return y;
}

/// The film `x[1, F, …]` in chunks of these sizes through the layer; `residual` is of the result's shape or
/// empty.
template <class T>
Tensor<float> streamed(const ops::Context& context, const nn::Conv3d<T>& conv, const Tensor<T>& x,
                       const std::vector<Index>& chunks, const Tensor<float>& residual = {}) {
  nn::FrameStream<T> stream;
  std::vector<Tensor<float>> parts;
  Index begin = 0;
  for (const Index size : chunks) {
    stream.begin_chunk(begin + size == x.dim(1));
    Tensor<float> added;
    if (!residual.empty()) {
      const auto part = residual[0].slice(begin, begin + size);
      added = part.reshape({1, size, part.dim(1), part.dim(2), part.dim(3)});
    }
    const auto y = conv(context, x[0].slice(begin, begin + size).reshape({1, size, x.dim(2), x.dim(3), in}),
                        std::move(added), &stream);
    parts.push_back(y[0]);
    begin += size;
  }
  const auto frames = concat_leading<float>(parts);
  return frames.reshape({1, frames.dim(0), frames.dim(1), frames.dim(2), frames.dim(3)});
}

template <class T>
void test_films(const ops::Context& context, double bound) {
  unsigned seed = 0;
  for (const auto& [name, g] : geometries()) {
    INFO(name);
    const auto weight = random_tensor({out, in, g.frames, g.side, g.side}, ++seed, 0.3f),
               bias = random_tensor({out}, ++seed, 0.3f);
    const auto state = film_weights(weight, bias);
    const nn::Conv3d<T> conv({weights::Scope(state), context}, in, out, g);
    for (const Index films : {Index{1}, Index{2}}) {
      const auto x = ops::cast<T>(context, random_tensor({films, 5, 6, 4, in}, ++seed));
      const auto expected = expected_film(ops::cast<float>(context, x), weight, bias, g);
      const auto y = conv(context, x);
      REQUIRE(y.shape() == expected.shape());
      CHECK(difference(y, expected).rel_l2 <= bound);
      const auto residual = random_tensor(expected.shape(), seed + 100);
      CHECK(difference(conv(context, x, residual), ops::add(context, expected, residual)).rel_l2 <= bound);
      if (films > 1 || g.behind > 0 || name == "inside") continue;
      for (const auto& chunks : std::vector<std::vector<Index>>{{1, 2, 2}, {3, 2}, {1, 4}, {5}})
        if (g.stride == 1 || chunks != std::vector<Index>{1, 2, 2} || g.before > 1)
          CHECK(difference(streamed(context, conv, x, chunks), expected).rel_l2 <= bound);
      if (g.stride == 1)
        CHECK(difference(streamed(context, conv, x, {3, 2}, residual), ops::add(context, expected, residual))
                  .rel_l2 <= bound);
    }
  }
}

}  // namespace

TEST_CASE("3-D convolutions are their sums, of whole films and of chunks", "[nn][film]") {
  for (const auto& engine : ops::engine_names()) {
    INFO(engine);
    test_films<float>(context_for(engine), 2e-6);
    test_films<bfloat16>(context_for(engine), 8e-3);
  }
}

TEST_CASE("a film too short for a kernel, and two films in one stream are refused", "[nn][film]") {
  const auto context = context_for("native");
  const auto state = film_weights(random_tensor({out, in, 3, 1, 1}, 1), random_tensor({out}, 2));
  const nn::Conv3d<float> conv({weights::Scope(state), context}, in, out,
                               {3, 1, 1, 0, 0, FrameBorder::zeros, {}});
  expect_error<ArgumentError>(
      [&] {
        (void)conv(context, random_tensor({1, 2, 3, 3, in}, 3));
      },
      {"conv3d", "2 frames", "kernel of 3"});
  nn::FrameStream<float> stream;
  expect_error<ArgumentError>(
      [&] {
        (void)conv(context, random_tensor({2, 4, 3, 3, in}, 3), {}, &stream);
      },
      {"2 films", "expected 1"});
  const nn::Conv3d<float> ahead({weights::Scope(state), context}, in, out, FilmGeometry::centred(3, 1));
  expect_error<ArgumentError>(
      [&] {
        (void)ahead(context, random_tensor({1, 4, 3, 3, in}, 3), {}, &stream);
      },
      {"[conv3d]", "looks ahead"});
}

TEST_CASE("a film goes through a kernel frame by frame, of which no more are held than it has",
          "[nn][film]") {
  const auto context = context_for("native");
  const auto weight = random_tensor({out, in, 3, 3, 3}, 1), bias = random_tensor({out}, 2);
  const auto state = film_weights(weight, bias);
  const nn::Conv3d<float> conv({weights::Scope(state), context}, in, out,
                               FilmGeometry::causal(3, 3, 1, FrameBorder::repeated));
  const auto film = random_tensor({1, 6, 4, 4, in}, 3);
  // A frame is there as long as somebody has its owner.
  std::vector<std::weak_ptr<Tensor<float>>> given;
  std::size_t most = 0;
  const auto frame = [&](Index i) {
    const auto owner = std::make_shared<Tensor<float>>(film[0].slice(i, i + 1).clone());
    given.push_back(owner);
    most = std::max(most, static_cast<std::size_t>(std::count_if(
                              given.begin(), given.end(), [](const auto& one) { return !one.expired(); })));
    return Tensor<float>(owner->shape(), std::shared_ptr<float>(owner, owner->data()));
  };
  nn::FrameStream<float> stream;
  stream.begin_chunk(true);
  const auto results = conv.frame_by_frame(context, 6, frame, {}, stream);
  CHECK(most == 3);
  CHECK(std::all_of(given.begin(), given.end(), [](const auto& one) { return one.expired(); }));
  REQUIRE(results.size() == 6);
  const auto whole = conv(context, film);
  for (std::size_t i = 0; i < 6; ++i) {
    const auto index = static_cast<Index>(i);
    CHECK(difference(results[i], whole[0].slice(index, index + 1)).rel_l2 == 0.0);
  }
}

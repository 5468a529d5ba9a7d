#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "daguerre/nn/conv.hpp"
#include "daguerre/ops/elementwise.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/golden.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;
using namespace daguerre::test;

namespace {

constexpr Index in = 5, out = 7;

struct Layer {
  std::string name;
  Index kernel;
  ops::ConvGeometry geometry;
};

const std::vector<Layer>& layers() {
  static const std::vector<Layer> all{
      {"pixels", 1, ops::ConvGeometry::same(0)},  {"every other pixel", 1, ops::ConvGeometry::same(0, 2)},
      {"inside", 3, ops::ConvGeometry::same(0)},  {"same", 3, ops::ConvGeometry::same(1)},
      {"half", 3, ops::ConvGeometry::same(1, 2)}, {"half, right and bottom", 3, {2, 0, 0, 1, 1}},
      {"wide", 3, ops::ConvGeometry::same(2)},    {"half, wide", 3, ops::ConvGeometry::same(2, 2)},
      {"each side its own", 3, {1, 0, 2, 1, 0}}};
  return all;
}

weights::StateDict weights_of(const Tensor<float>& weight, const Tensor<float>& bias) {
  weights::SafetensorsWriter writer;
  writer.add("weight", weight);
  writer.add("bias", bias);
  return weights::StateDict({weights::SafetensorsFile::from_memory(
      std::make_shared<const std::vector<std::byte>>(writer.to_bytes()), "conv")});
}

/// The sum as it is defined; beyond an edge lies the other side where the axis wraps, else 0.
Tensor<float> expected_conv(const Tensor<float>& x, const Tensor<float>& weight, const Tensor<float>& bias,
                            const Layer& layer, ops::Wrap wrap) {
  const auto& g = layer.geometry;
  const Index height = x.dim(1), width = x.dim(2), kernel = layer.kernel;
  const Index high = (height + g.pad_top + g.pad_bottom - kernel) / g.stride + 1;
  const Index wide = (width + g.pad_left + g.pad_right - kernel) / g.stride + 1;
  Tensor<float> y({x.dim(0), high, wide, out});
  const auto value = [&](Index n, Index row, Index column, Index c) {
    if (wrap.y) row = (row + height) % height;
    if (wrap.x) column = (column + width) % width;
    if (row < 0 || row >= height || column < 0 || column >= width) return 0.0;
    return static_cast<double>(x.data()[((n * height + row) * width + column) * in + c]);
  };
  float* to = y.data();
  for (Index n = 0; n < x.dim(0); ++n)
    for (Index row = 0; row < high; ++row)
      for (Index column = 0; column < wide; ++column)
        for (Index o = 0; o < out; ++o) {
          double sum = static_cast<double>(bias.data()[o]);
          for (Index c = 0; c < in; ++c)
            for (Index i = 0; i < kernel; ++i)
              for (Index k = 0; k < kernel; ++k)
                sum += value(n, row * g.stride + i - g.pad_top, column * g.stride + k - g.pad_left, c) *
                       static_cast<double>(weight.data()[((o * in + c) * kernel + i) * kernel + k]);
          *to++ = static_cast<float>(sum);
        }
  return y;
}

Tensor<float> sum_of(const Tensor<float>& a, const Tensor<float>& b) {
  Tensor<float> result(a.shape());
  std::transform(a.data(), a.data() + a.size(), b.data(), result.data(),
                 [](float x, float y) { return x + y; });
  return result;
}

template <class T>
void test_wrapping(ops::Context context, Index height, Index width, double bound) {
  unsigned seed = 0;
  for (const auto& layer : layers()) {
    const auto& g = layer.geometry;
    const Shape shape{out, in, layer.kernel, layer.kernel};
    const auto weight = random_tensor(shape, ++seed, 0.3f), bias = random_tensor({out}, ++seed, 0.3f);
    const auto state = weights_of(weight, bias);
    const nn::Loader loader{weights::Scope(state), context};
    const nn::Conv2d<T> conv(loader, in, out, layer.kernel, g);
    const auto x = ops::cast<T>(context, random_tensor({2, height, width, in}, ++seed));
    const auto seen = ops::cast<float>(context, x);
    for (const auto wrap :
         {ops::Wrap{true, false}, ops::Wrap{false, true}, ops::Wrap{true, true}, ops::Wrap{false, false}}) {
      INFO(layer.name << (wrap.x ? ", x" : "") << (wrap.y ? ", y" : ""));
      context.wrap = wrap;
      const auto expected = expected_conv(seen, weight, bias, layer, wrap);
      const auto y = conv(context, x);
      REQUIRE(y.shape() == expected.shape());
      CHECK(difference(y, expected).rel_l2 <= bound);
      const auto rounded = ops::cast<float>(context, conv.rounded(context, x));
      REQUIRE(rounded.shape() == expected.shape());
      CHECK(difference(rounded, expected).rel_l2 <= bound);
      const auto residual = random_tensor(expected.shape(), seed + 100);
      CHECK(difference(conv(context, x, residual), sum_of(expected, residual)).rel_l2 <= bound);
      if (layer.name == "same" && wrap.any())
        CHECK(difference(y, expected_conv(seen, weight, bias, layer, {})).rel_l2 > 0.05);
    }
    // Off, and where nothing beyond the edges is read, it is the engine's own convolution.
    INFO(layer.name);
    const auto engines = context.engine->as<T>().pack_conv2d(context, loader.to_be_packed("weight", shape),
                                                             loader.tensor("bias", {out}), g);
    const auto plain = (*engines)(context, x);
    CHECK(difference(conv(context, x), plain).max_abs == 0.0);
    context.wrap = {true, true};
    if (g.pad_left + g.pad_right + g.pad_top + g.pad_bottom == 0)
      CHECK(difference(conv(context, x), plain).max_abs == 0.0);
    context.wrap = {};
  }
}

}  // namespace

TEST_CASE("convolutions see a picture's other side beyond its edges", "[nn][tiling]") {
  for (const auto& engine : ops::engine_names()) {
    INFO(engine);
    const auto context = context_for(engine);
    for (const auto& [height, width] : {std::pair<Index, Index>{6, 5}, {5, 8}, {3, 4}}) {
      INFO(height << " x " << width);
      test_wrapping<float>(context, height, width, 2e-6);
      test_wrapping<bfloat16>(context, height, width, 8e-3);
    }
  }
}

TEST_CASE("a picture smaller than what is read beyond it cannot be wrapped", "[nn][tiling]") {
  auto context = context_for("native");
  const auto state = weights_of(random_tensor({out, in, 3, 3}, 1), random_tensor({out}, 2));
  const nn::Conv2d<float> conv({weights::Scope(state), context}, in, out, 3, ops::ConvGeometry::same(2));
  const auto narrow = random_tensor({1, 6, 1, in}, 3);
  context.wrap = {.x = false, .y = true};
  CHECK(conv(context, narrow).shape() == Shape{1, 8, 3, out});
  context.wrap = {.x = true, .y = false};
  expect_error<ArgumentError>([&] { (void)conv(context, narrow); }, {"conv2d", "side of 1", "by 2"});
}

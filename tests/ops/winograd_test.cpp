#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daguerre/ops/resample.hpp"
#include "ops/engines/native/winograd_conv.hpp"
#include "support/catch.hpp"
#include "support/golden.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;
using namespace daguerre::ops;
using namespace daguerre::test;

namespace {

/// Float32 sums lose about 1e-7 whatever is multiplied, minimal filtering some more.
constexpr double bound = 1e-6;

/// The sums as they are defined, of 3 x 3 pixels that move by one.
Tensor<float> defined_conv(const Tensor<float>& x, const Tensor<float>& w, const Tensor<float>& bias,
                           const ConvGeometry& g, const Tensor<float>& residual) {
  const Index in = w.dim(1), out = w.dim(0);
  Tensor<float> y({x.dim(0), g.output_size(x.dim(1), 3, true), g.output_size(x.dim(2), 3, false), out});
  float* to = y.data();
  for (Index n = 0; n < y.dim(0); ++n)
    for (Index row = 0; row < y.dim(1); ++row)
      for (Index column = 0; column < y.dim(2); ++column)
        for (Index o = 0; o < out; ++o, ++to) {
          double sum = bias.empty() ? 0.0 : static_cast<double>(bias.data()[o]);
          for (Index tap = 0; tap < 9; ++tap) {
            const Index r = row - g.pad_top + tap / 3, c = column - g.pad_left + tap % 3;
            if (r < 0 || r >= x.dim(1) || c < 0 || c >= x.dim(2)) continue;
            const float* const pixel = x.data() + ((n * x.dim(1) + r) * x.dim(2) + c) * in;
            for (Index i = 0; i < in; ++i)
              sum += static_cast<double>(pixel[i]) * static_cast<double>(w.data()[(o * in + i) * 9 + tap]);
          }
          if (!residual.empty()) sum += static_cast<double>(residual.data()[to - y.data()]);
          *to = static_cast<float>(sum);
        }
  return y;
}

Tensor<float> random_weight(Index out, Index in, unsigned seed) {
  return random_tensor({out, in, 3, 3}, seed, 1.0f / std::sqrt(9.0f * static_cast<float>(in)));
}

bool same_bits(const Tensor<float>& a, const Tensor<float>& b) {
  return a.shape() == b.shape() && std::equal(a.data(), a.data() + a.size(), b.data());
}

template <class T>
void test_against_definition(const kernels::WinogradKernels& kernels) {
  struct Case {
    Index batch, height, width, in, out;
    ConvGeometry geometry;
    bool bias, residual;
  };
  const std::vector<Case> cases{{1, 4, 4, 16, 16, ConvGeometry::same(1), false, false},
                                {1, 1, 1, 20, 17, ConvGeometry::same(1), true, false},
                                {2, 2, 3, 64, 40, ConvGeometry::same(1), true, true},
                                {1, 6, 6, 24, 16, ConvGeometry::same(0), true, false},
                                {1, 5, 9, 70, 65, {1, 0, 2, 1, 0}, true, true},
                                {3, 9, 7, 130, 100, ConvGeometry::same(1), false, true},
                                {1, 41, 50, 32, 24, ConvGeometry::same(2), true, false}};
  Context context;
  context.threads = 2;
  unsigned seed = 1;
  for (const auto& c : cases) {
    INFO(kernels.instruction_set << ", input " << c.batch << " x " << c.height << " x " << c.width << " x "
                                 << c.in << ", out " << c.out);
    const auto x = random_tensor({c.batch, c.height, c.width, c.in}, seed++).template to<T>();
    const auto w = random_weight(c.out, c.in, seed++).template to<T>();
    const auto bias = c.bias ? random_tensor({c.out}, seed++) : Tensor<float>();
    const auto layer = make_winograd_conv2d<T>(context, Weight(WeightSource::of(w)), bias, c.geometry,
                                               Activation::none, kernels);
    const auto wide = x.template to<float>(), weight = w.template to<float>();
    const auto plain = defined_conv(wide, weight, bias, c.geometry, {});
    const auto residual = c.residual ? random_tensor(plain.shape(), seed++) : Tensor<float>();
    const auto y = (*layer)(context, x, residual);
    CHECK(difference(y, defined_conv(wide, weight, bias, c.geometry, residual)).rel_l2 < bound);
    if (c.residual) {
      auto given = residual.clone();
      CHECK(same_bits((*layer)(context, x, std::move(given)), y));
    }
    // Activated between bias and residual.
    const auto activated = make_winograd_conv2d<T>(context, Weight(WeightSource::of(w)), bias, c.geometry,
                                                   Activation::relu, kernels);
    auto expected = plain.clone();
    for (Index i = 0; i < plain.size(); ++i)
      expected.data()[i] = std::max(0.0f, plain.data()[i]) + (c.residual ? residual.data()[i] : 0.0f);
    CHECK(difference((*activated)(context, x, residual), expected).rel_l2 < bound);
    // Rounded as the sums are.
    const auto sums = (*layer)(context, x, {});
    CHECK(same_bits(layer->rounded(context, x).template to<float>(),
                    sums.template to<T>().template to<float>()));
    // Enlarged without a map, as with one.
    const Index height = 2 * c.height + 1, width = 3 * c.width;
    CHECK(same_bits(layer->enlarged(context, wide, height, width),
                    (*layer)(context, upsample_nearest<T>(context, wide, height, width), {})));
    CHECK(same_bits(
        layer->enlarged_rounded(context, wide, height, width).template to<float>(),
        layer->rounded(context, upsample_nearest<T>(context, wide, height, width)).template to<float>()));
  }
}

}  // namespace

TEST_CASE("minimal filtering gives what a convolution is", "[ops][winograd]") {
  for (const auto* kernels : kernels::available_winograd()) {
    test_against_definition<float>(*kernels);
    test_against_definition<bfloat16>(*kernels);
  }
}

TEST_CASE("minimal filtering does not depend on threads, batch or where weights are", "[ops][winograd]") {
  const auto w = random_weight(72, 80, 1);
  const auto halves = w.to<half>();
  const auto x = random_tensor({3, 37, 44, 80}, 2);
  for (const auto* kernels : kernels::available_winograd()) {
    INFO(kernels->instruction_set);
    const auto run = [&](const Tensor<float>& input, const Weight& weight, int threads,
                         WeightPlacement placement) {
      Context context;
      context.threads = threads;
      context.placement = placement;
      return (*make_winograd_conv2d<float>(context, weight, {}, ConvGeometry::same(1), Activation::none,
                                           *kernels))(context, input, {});
    };
    const auto one = run(x, w, 1, WeightPlacement::packed);
    CHECK(same_bits(run(x, w, 16, WeightPlacement::packed), one));
    CHECK(same_bits(run(x.slice(1, 2), w, 2, WeightPlacement::packed), one.slice(1, 2)));
    CHECK(same_bits(run(x, w, 2, WeightPlacement::mapped), one));
    const auto few = x.slice(0, 1);
    CHECK(same_bits(run(few, w, 2, WeightPlacement::mapped), one.slice(0, 1)));
    // What a file has in binary16 is kept so, and is the same numbers.
    const auto stored = run(few, WeightSource::of(halves), 2, WeightPlacement::packed);
    CHECK(same_bits(stored, run(few, halves.to<float>(), 2, WeightPlacement::packed)));
    CHECK(same_bits(stored, run(few, WeightSource::of(halves), 2, WeightPlacement::mapped)));
  }
}

TEST_CASE("a number that is none fills its tiles and no others", "[ops][winograd]") {
  auto x = random_tensor({1, 16, 16, 16}, 1);
  x.data()[(5 * 16 + 6) * 16 + 3] = std::numeric_limits<float>::quiet_NaN();
  const auto layer = make_winograd_conv2d<float>({}, random_weight(16, 16, 2), {}, ConvGeometry::same(1));
  const auto y = (*layer)({}, x, {});
  for (Index row = 0; row < 16; ++row)
    for (Index column = 0; column < 16; ++column) {
      const float value = y.data()[(row * 16 + column) * 16];
      if (std::max(std::abs(row - 5), std::abs(column - 6)) <= 1) CHECK(std::isnan(value));
      if (row < 4 || row >= 8 || column < 4 || column >= 8) CHECK(std::isfinite(value));
    }
}

TEST_CASE("minimal filtering is for what it is faster for", "[ops][winograd]") {
  Context context;
  CHECK(suits_winograd(context, {32, 32, 3, 3}, ConvGeometry::same(1)));
  CHECK_FALSE(suits_winograd(context, {16, 64, 3, 3}, ConvGeometry::same(1)));
  CHECK(suits_winograd(context, {320, 640, 3, 3}, ConvGeometry::same(0)));
  CHECK_FALSE(suits_winograd(context, {320, 4, 3, 3}, ConvGeometry::same(1)));
  CHECK_FALSE(suits_winograd(context, {4, 320, 3, 3}, ConvGeometry::same(1)));
  CHECK_FALSE(suits_winograd(context, {320, 320, 3, 3}, ConvGeometry::same(1, 2)));
  CHECK_FALSE(suits_winograd(context, {320, 320, 3, 1}, ConvGeometry::same(1)));
  CHECK_FALSE(suits_winograd(context, {320, 320, 5, 5}, ConvGeometry::same(2)));
  context.minimal_filtering = false;
  CHECK_FALSE(suits_winograd(context, {320, 640, 3, 3}, ConvGeometry::same(0)));
}

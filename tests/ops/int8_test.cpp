#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "daguerre/ops/elementwise.hpp"
#include "daguerre/weights/gguf_writer.hpp"
#include "ops/engines/onednn/int8_kernels.hpp"
#include "ops/engines/onednn/int8_weights.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/golden.hpp"
#include "support/random_tensor.hpp"
#include "support/reference_activation.hpp"

using namespace daguerre;
using namespace daguerre::ops;
using namespace daguerre::test;
using kernels::Quantization;

namespace {

constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
constexpr float infinity = std::numeric_limits<float>::infinity();

bool has_int8() {
  return engine_names().front() == "onednn";
}
std::shared_ptr<const Engine> int8_engine() {
  return make_int8_engine(make_engine("onednn"));
}

bool equal(const Tensor<float>& a, const Tensor<float>& b) {
  return a.shape() == b.shape() && std::equal(a.data(), a.data() + a.size(), b.data());
}

template <class T>
void test_kernels(const kernels::Int8RowKernels<T>& kernel) {
  for (const float levels : {255.0f, 127.0f})
    for (const Index count : {1, 3, 17, 64, 1024, 1500}) {
      INFO("levels " << levels << ", count " << count);
      const auto x = random_tensor({count}, static_cast<unsigned>(count), 3.0f).to<T>();
      const auto values = x.template to<float>();
      float low = 0.0f, high = 0.0f;
      kernel.range(x.data(), count, low, high);
      const auto [least, greatest] = std::minmax_element(values.data(), values.data() + count);
      CHECK(low == std::min(0.0f, *least));
      CHECK(high == std::max(0.0f, *greatest));

      const auto quantization = Quantization::of_range(low, high, levels);
      std::vector<std::uint8_t> q(static_cast<std::size_t>(count));
      kernel.quantize(x.data(), count, quantization, levels, q.data());
      for (Index i = 0; i < count; ++i) {
        const float level = static_cast<float>(q[static_cast<std::size_t>(i)]);
        CHECK(level <= levels);
        // To the nearest level, but for the zero point's own rounding where the range ends.
        const float off = quantization.scale * (level - quantization.zero_point) - values.data()[i];
        const bool at_an_end = level == 0.0f || level == levels;
        CHECK(std::abs(off) <= quantization.scale * (at_an_end ? 1.001f : 0.501f));
      }
    }

  for (const float bad : {not_a_number, infinity, -infinity}) {
    auto x = Tensor<float>::full({1100}, 1.0f);
    x.data()[1050] = bad;
    const auto input = x.to<T>();
    float low = 0.0f, high = 0.0f;
    kernel.range(input.data(), input.size(), low, high);
    const auto quantization = Quantization::of_range(low, high, 255.0f);
    CHECK_FALSE(quantization.is_finite());
    std::vector<std::uint8_t> q(1100, 7);
    kernel.quantize(input.data(), input.size(), quantization, 255.0f, q.data());
    CHECK(std::all_of(q.begin(), q.end(), [](auto level) { return level == 0; }));
  }
}

template <class T>
void test_finish(const kernels::Int8RowKernels<T>& kernel) {
  constexpr Index rows = 3, columns = 1200, stride = 1205;
  std::mt19937 generator(3);
  std::uniform_int_distribution<std::int32_t> integers(-2000000, 2000000);
  Tensor<std::int32_t> sums({rows, stride});
  for (auto& sum : sums.span()) sum = integers(generator);
  const std::array<Quantization, rows> quantizations{{{1e-6f, 128.0f}, {3e-7f, 0.0f}, {2e-6f, 255.0f}}};
  auto scales = random_tensor({columns}, 4), scaled_sums = random_tensor({columns}, 5, 1000.0f);
  for (float& scale : scales.span()) scale = std::abs(scale);
  const auto bias = random_tensor({columns}, 6), residual = random_tensor({rows, columns}, 7);
  for (const auto activation : {Activation::none, Activation::silu, Activation::gelu})
    for (const bool extras : {false, true}) {
      Tensor<float> expected({rows, columns});
      for (Index i = 0; i < rows; ++i)
        for (Index j = 0; j < columns; ++j) {
          const auto& row = quantizations[static_cast<std::size_t>(i)];
          double value =
              static_cast<double>(row.scale) *
              (static_cast<double>(sums.data()[i * stride + j]) * static_cast<double>(scales.data()[j]) -
               static_cast<double>(row.zero_point) * static_cast<double>(scaled_sums.data()[j]));
          if (extras) value += static_cast<double>(bias.data()[j]);
          value = reference_activation(value, activation);
          if (extras) value += static_cast<double>(residual.data()[i * columns + j]);
          expected.data()[i * columns + j] = static_cast<float>(value);
        }
      Tensor<T> out({rows, columns});
      kernel.finish(sums.data(), stride, rows, columns,
                    {quantizations.data(), scales.data(), scaled_sums.data(), extras ? bias.data() : nullptr,
                     activation, extras ? residual.data() : nullptr},
                    out.data(), columns);
      CHECK(difference(out.template to<float>(), expected).rel_l2 < (std::is_same_v<T, float> ? 1e-6 : 4e-3));
    }
}

/// What is left of `x` once it is rounded to 8 bits with one scale for each of `parts` equal parts, and the
/// greatest scale.
struct Rounded {
  Tensor<float> values;
  std::vector<double> scales;
};
Rounded rounded(const Tensor<float>& x, Index parts) {
  Rounded result{Tensor<float>(x.shape()), {}};
  const float levels = int8_activation_levels();
  const Index size = x.size() / parts;
  for (Index part = 0; part < parts; ++part) {
    const float* from = x.data() + part * size;
    const auto [least, greatest] = std::minmax_element(from, from + size);
    const auto quantization = Quantization::of_range(*least, *greatest, levels);
    result.scales.push_back(static_cast<double>(quantization.scale));
    for (Index i = 0; i < size; ++i)
      result.values.data()[part * size + i] =
          quantization.scale *
          (std::clamp(std::floor(from[i] / quantization.scale + quantization.zero_point + 0.5f), 0.0f,
                      levels) -
           quantization.zero_point);
  }
  return result;
}

Tensor<float> rounded_weights(const Tensor<float>& weight) {
  const Int8Weights weights(2, weight);
  Tensor<float> result(weight.shape());
  const Index size = weight.size() / weight.dim(0);
  for (Index i = 0; i < weight.size(); ++i)
    result.data()[i] =
        weights.scales[static_cast<std::size_t>(i / size)] * static_cast<float>(weights.values.data()[i]);
  return result;
}

/// Rounding errors that are independent and even over +-scale / 2 add up to this, relative to the product's
/// size: sqrt(e_x^2 + e_w^2) with e = scale / sqrt(12) / (typical size). A fifth more for chance.
double implied_error(const Tensor<float>& x, const Tensor<float>& x_rounded, const Tensor<float>& w) {
  return 1.2 * std::hypot(difference(x_rounded, x).rel_l2, difference(rounded_weights(w), w).rel_l2);
}

template <class Layer>
Tensor<float> same_for_any_threads(const Layer& run) {
  const Tensor<float> one = run(1);
  for (const int threads : {2, 3, 7}) {
    INFO(threads << " threads");
    CHECK(equal(run(threads), one));
  }
  return one;
}

}  // namespace

TEST_CASE("8-bit kernels of every instruction set agree with naive loops", "[ops][int8]") {
  for (const auto* kernel : kernels::int8_available()) {
    INFO("kernels " << kernel->instruction_set);
    test_kernels(kernel->f32);
    test_kernels(kernel->bf16);
    test_finish(kernel->f32);
    test_finish(kernel->bf16);
  }
  CHECK(&kernels::int8_active() == kernels::int8_available().front());
}

TEST_CASE("a quantisation meets zero exactly and survives extremes", "[ops][int8]") {
  constexpr float greatest = std::numeric_limits<float>::max();
  for (const auto& [low, high] :
       {std::array{-1.0f, 3.0f}, std::array{2.0f, 5.0f}, std::array{-5.0f, -2.0f}, std::array{0.0f, 0.0f},
        std::array{-greatest, greatest}, std::array{0.0f, 1e-42f}}) {
    INFO(low << " to " << high);
    const auto q = Quantization::of_range(low, high, 255.0f);
    CHECK(q.is_finite());
    CHECK(std::isfinite(1.0f / q.scale));
    CHECK(q.zero_point >= 0.0f);
    CHECK(q.zero_point <= 255.0f);
    CHECK(q.zero_point == std::floor(q.zero_point));
  }
  CHECK(Quantization::of_range(2.0f, 5.0f, 255.0f).zero_point == 0.0f);
  CHECK(Quantization::of_range(-5.0f, -2.0f, 255.0f).zero_point == 255.0f);
}

TEST_CASE("weights are rounded for each output channel", "[ops][int8]") {
  auto weight = random_tensor({3, 50}, 8);
  for (Index i = 0; i < 50; ++i) weight.data()[50 + i] = 0.0f;
  weight.data()[100] = 1e30f;
  const Int8Weights packed(1, weight);
  for (Index channel = 0; channel < 3; ++channel) {
    const float scale = packed.scales[static_cast<std::size_t>(channel)];
    int sum = 0;
    for (Index i = 50 * channel; i < 50 * channel + 50; ++i) {
      sum += packed.values.data()[i];
      CHECK(std::abs(scale * static_cast<float>(packed.values.data()[i]) - weight.data()[i]) <=
            0.501f * scale);
    }
    CHECK(packed.scaled_sums[static_cast<std::size_t>(channel)] == scale * static_cast<float>(sum));
  }
  CHECK(std::all_of(packed.values.data() + 50, packed.values.data() + 100, [](auto v) { return v == 0; }));
  weight.data()[7] = not_a_number;
  CHECK(std::isnan(Int8Weights(1, weight).scales[0]));
}

/// Values half-way between two levels may fall to either: some level more or less, which is the coarser the
/// fewer levels there are.
double same_rounding_bound() {
  return 1e-3 * 255.0 / static_cast<double>(int8_activation_levels());
}

TEST_CASE("8-bit linear layers are as exact as their rounding", "[ops][int8]") {
  if (!has_int8()) return;
  const auto engine = int8_engine();
  const auto exact = make_engine("native");
  for (const Index rows : {1, 2, 65, 300})
    for (const auto& [in, out] :
         {std::array<Index, 2>{64, 96}, std::array<Index, 2>{37, 50}, std::array<Index, 2>{320, 1280}}) {
      INFO(rows << " rows, " << in << " to " << out);
      auto x = random_tensor({rows, in}, 9);
      for (Index i = 0; i < x.size(); ++i)
        x.data()[i] *= 1.0f + static_cast<float>(i / in % 5);  // rows differ
      const auto input = x.to<bfloat16>();
      x = input.to<float>();
      const auto weight = random_tensor({out, in}, 10), bias = random_tensor({out}, 11),
                 residual = random_tensor({rows, out}, 12);
      const auto x_rounded = rounded(x, rows).values;
      const auto context = context_for("native", 1);
      const auto layer = engine->as<bfloat16>().pack_linear(context, weight, bias, Activation::silu);
      const auto y = same_for_any_threads(
          [&](int threads) { return layer->accumulate(context_for("onednn", threads), input, &residual); });
      // The arithmetic itself, on the rounded operands: only the sums' conversion to float32 is inexact.
      const auto same_rounding =
          exact->as<float>().pack_linear(context, rounded_weights(weight), bias, Activation::silu);
      CHECK(difference(y, same_rounding->accumulate(context, x_rounded, &residual)).rel_l2 <
            same_rounding_bound());
      const auto wide = exact->as<float>().pack_linear(context, weight, bias, Activation::silu);
      CHECK(difference(y, wide->accumulate(context, x, &residual)).rel_l2 <
            implied_error(x, x_rounded, weight));
      CHECK(difference((*layer)(context_for("onednn"), input).to<float>(), (*wide)(context, x)).rel_l2 <
            2 * implied_error(x, x_rounded, weight));
    }
}

TEST_CASE("mapped 8-bit linear layers give what packed ones give, bit for bit", "[ops][int8]") {
  if (!has_int8()) return;
  const auto engine = int8_engine();
  const auto same = [](const auto& a, const auto& b) {
    return a.shape() == b.shape() && std::equal(a.span().begin(), a.span().end(), b.span().begin());
  };
  auto mapped = context_for("onednn", 2);
  mapped.placement = WeightPlacement::mapped;
  for (const auto& [rows, in, out] : {std::array<Index, 3>{1, 64, 96}, {65, 37, 50}, {1100, 320, 700}}) {
    INFO(rows << " rows, " << in << " to " << out);
    const auto x = random_tensor({rows, in}, 9).to<bfloat16>();
    const auto weight = random_tensor({out, in}, 10), bias = random_tensor({out}, 11),
               residual = random_tensor({rows, out}, 12);
    const auto& layers = engine->as<bfloat16>();
    const auto a = layers.pack_linear(context_for("onednn", 2), weight, bias, Activation::silu);
    const auto b = layers.pack_linear(mapped, weight, bias, Activation::silu);
    CHECK(same((*a)(mapped, x), (*b)(mapped, x)));
    CHECK(same(a->accumulate(mapped, x, &residual), b->accumulate(mapped, x, &residual)));
  }
}

TEST_CASE("8-bit layers add less to the error of 4-bit blocks than it is", "[ops][int8]") {
  if (!has_int8()) return;
  const auto x = random_tensor({32, 1024}, 9).to<bfloat16>();
  const auto weight = random_tensor({64, 1024}, 10);
  auto context = context_for("onednn", 2);
  const auto exact = [&](const Weight& of) {
    return context.engine->as<float>()
        .pack_linear(context, of, {}, Activation::none)
        ->accumulate(context, x.to<float>());
  };
  const auto bytes = std::make_shared<const std::vector<std::byte>>(weights::quantised(DType::q4_k, weight));
  const auto blocks = block_source(DType::q4_k, weight.shape(), *bytes, bytes);
  const auto with_blocks = exact(blocks);
  const double own = difference(with_blocks, exact(weight)).rel_l2;
  context.placement = WeightPlacement::mapped;
  const auto layer = int8_engine()->as<bfloat16>().pack_linear(context, blocks, {}, Activation::none);
  const double added = difference(layer->accumulate(context, x, nullptr), with_blocks).rel_l2;
  CHECK(added > 0.0);
  CHECK(added < 0.02);
  CHECK(own > 3 * added);
}

TEST_CASE("8-bit convolutions are as exact as their rounding", "[ops][int8]") {
  if (!has_int8()) return;
  const auto engine = int8_engine();
  const auto exact = make_engine("native");
  struct Case {
    Shape input;
    Index out, kernel;
    ConvGeometry geometry;
  };
  const std::array cases{Case{{2, 9, 11, 32}, 48, 3, ConvGeometry::same(1)},
                         Case{{1, 8, 8, 64}, 64, 3, ConvGeometry::same(1, 2)},
                         Case{{3, 8, 6, 20}, 7, 3, ConvGeometry{2, 0, 0, 1, 1}},
                         Case{{1, 1, 1, 5}, 3, 3, ConvGeometry::same(1)},
                         Case{{1, 16, 16, 32}, 32, 1, ConvGeometry::same(0)},
                         Case{{2, 33, 20, 48}, 64, 3, ConvGeometry::same(1)}};
  for (const auto& c : cases) {
    INFO("input " << to_string(c.input) << " to " << c.out << ", kernel " << c.kernel);
    auto x = random_tensor(c.input, 13);
    const Index image = x.size() / c.input[0];
    for (Index i = 0; i < x.size(); ++i)  // as SiLU leaves it, and every image of another size
      x.data()[i] = std::max(x.data()[i], -0.3f) * static_cast<float>(1 + i / image);
    const auto input = x.to<bfloat16>();
    x = input.to<float>();
    const auto weight = random_tensor({c.out, c.input[3], c.kernel, c.kernel}, 14),
               bias = random_tensor({c.out}, 15);
    const auto x_rounded = rounded(x, c.input[0]).values;
    const auto context = context_for("native", 1);
    const auto layer = engine->as<bfloat16>().pack_conv2d(context, weight, bias, c.geometry);
    const auto wide = exact->as<float>().pack_conv2d(context, weight, bias, c.geometry);
    const auto same_rounding =
        exact->as<float>().pack_conv2d(context, rounded_weights(weight), bias, c.geometry);
    const auto residual = random_tensor((*wide)(context, x, {}).shape(), 16);
    for (const auto& added : {Tensor<float>(), residual}) {
      const auto y = same_for_any_threads(
          [&](int threads) { return (*layer)(context_for("onednn", threads), input, added); });
      CHECK(difference(y, (*same_rounding)(context, x_rounded, added)).rel_l2 < same_rounding_bound());
      CHECK(difference(y, (*wide)(context, x, added)).rel_l2 < implied_error(x, x_rounded, weight));
    }
  }
}

TEST_CASE("8-bit layers of one image do not see the next", "[ops][int8]") {
  if (!has_int8()) return;
  const auto engine = int8_engine();
  const auto weight = random_tensor({8, 16, 3, 3}, 17);
  const auto layer =
      engine->as<bfloat16>().pack_conv2d(context_for("onednn"), weight, {}, ConvGeometry::same(1));
  auto x = random_tensor({2, 6, 6, 16}, 18);
  const auto alone = (*layer)(context_for("onednn"), x.slice(0, 1).to<bfloat16>());
  for (Index i = x.size() / 2; i < x.size(); ++i) x.data()[i] *= 1e6f;
  CHECK(equal((*layer)(context_for("onednn"), x.to<bfloat16>()).slice(0, 1), alone));
}

TEST_CASE("8-bit layers pass on what is not finite, and bear what is huge or nothing", "[ops][int8]") {
  if (!has_int8()) return;
  const auto context = context_for("onednn");
  const auto engine = int8_engine();
  const auto linear = engine->as<bfloat16>().pack_linear(context, random_tensor({32, 64}, 19), {});
  const auto conv = engine->as<bfloat16>().pack_conv2d(context, random_tensor({32, 64, 3, 3}, 20), {},
                                                       ConvGeometry::same(1));

  CHECK(linear->accumulate(context, Tensor<bfloat16>({0, 64})).shape() == Shape{0, 32});
  CHECK((*conv)(context, Tensor<bfloat16>({0, 4, 4, 64})).shape() == Shape{0, 4, 4, 32});
  const auto zero = linear->accumulate(context, Tensor<bfloat16>::zeros({3, 64}));
  CHECK(equal(zero, Tensor<float>::zeros({3, 32})));

  auto huge = random_tensor({2, 64}, 21, 1e36f);
  for (const float value : linear->accumulate(context, huge.to<bfloat16>()).span())
    CHECK(std::isfinite(value));

  for (const float bad : {not_a_number, infinity}) {
    auto x = random_tensor({3, 64}, 22);
    x.data()[64 + 5] = bad;
    const auto y = linear->accumulate(context, x.to<bfloat16>());
    for (Index i = 0; i < y.size(); ++i) CHECK(std::isnan(y.data()[i]) == (i / 32 == 1));
    auto image = random_tensor({2, 4, 4, 64}, 23);
    image.data()[77] = bad;
    const auto z = (*conv)(context, image.to<bfloat16>());
    for (Index i = 0; i < z.size(); ++i) CHECK(std::isnan(z.data()[i]) == (i < z.size() / 2));
  }
}

TEST_CASE("the 8-bit engine leaves float layers and attention to oneDNN", "[ops][int8]") {
  expect_error<ArgumentError>([] { make_int8_engine(make_engine("native")); },
                              {"engine", "onednn", "native"});
  expect_error<ArgumentError>([] { make_int8_engine(nullptr); }, {"engine", "onednn"});
  if (!has_int8()) return;
  const auto context = context_for("onednn");
  const auto engine = int8_engine(), plain = make_engine("onednn");
  const auto x = random_tensor({2, 10, 24}, 24), weight = random_tensor({8, 24}, 25);
  CHECK(equal((*engine->as<float>().pack_linear(context, weight, {}))(context, x),
              (*plain->as<float>().pack_linear(context, weight, {}))(context, x)));
  const auto narrow = x.to<bfloat16>();
  const auto view = TokenView<bfloat16>::columns(narrow, 0, 8);
  const AttentionArguments<bfloat16> arguments{view, view, view, 2};
  CHECK(equal(engine->as<bfloat16>().attention(context, arguments).to<float>(),
              plain->as<bfloat16>().attention(context, arguments).to<float>()));
}

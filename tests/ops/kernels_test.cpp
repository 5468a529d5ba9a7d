#include "ops/engines/native/kernels.hpp"

#include <cmath>
#include <limits>

#include "daguerre/ops/elementwise.hpp"
#include "daguerre/ops/embedding.hpp"
#include "daguerre/ops/norm.hpp"
#include "daguerre/ops/resample.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/golden.hpp"
#include "support/random_tensor.hpp"
#include "support/reference_activation.hpp"

using namespace daguerre;
using namespace daguerre::ops;
using namespace daguerre::test;

namespace {

constexpr std::array activations{Activation::none,      Activation::silu,       Activation::gelu,
                                 Activation::gelu_tanh, Activation::quick_gelu, Activation::relu,
                                 Activation::mish};

template <class T>
void test_products(const kernels::Kernels& kernel) {
  const Index m = 2 * kernel.row_block + 5, k = 37, n = 3 * kernel.panel_width + 7;
  const auto a = random_tensor({m, k}, 1).to<T>();
  const auto b = random_tensor({n, k}, 2);
  const auto bias = random_tensor({n}, 3), residual = random_tensor({m, n}, 4);
  std::vector<float> panels(static_cast<std::size_t>((n / kernel.panel_width + 1) * kernel.panel_width * k));
  kernel.pack_panels(b.data(), k, n, 1, k, panels.data());
  std::vector<const T*> rows;
  for (Index i = 0; i < m; ++i) rows.push_back(a.data() + i * k);
  auto sums = Tensor<float>::zeros({m, n});
  // In two pieces of the depth, as the engine does.
  const Index split = 20;
  const auto& row_kernel = kernel.of<T>();
  row_kernel.multiply(rows.data(), m, split, panels.data(), k * kernel.panel_width, n, sums.data(), n);
  for (auto& row : rows) row += split;
  row_kernel.multiply(rows.data(), m, k - split, panels.data() + split * kernel.panel_width,
                      k * kernel.panel_width, n, sums.data(), n);

  Tensor<float> expected({m, n});
  for (const auto activation : activations) {
    for (Index i = 0; i < m; ++i)
      for (Index j = 0; j < n; ++j) {
        double sum = static_cast<double>(bias.data()[j]);
        for (Index l = 0; l < k; ++l)
          sum += static_cast<double>(convert<float>(a.data()[i * k + l])) *
                 static_cast<double>(b.data()[j * k + l]);
        expected.data()[i * n + j] = static_cast<float>(reference_activation(sum, activation) +
                                                        static_cast<double>(residual.data()[i * n + j]));
      }
    Tensor<T> out({m, n});
    row_kernel.finish(sums.data(), n, m, n, {bias.data(), activation, residual.data()}, out.data(), n);
    INFO("activation " << static_cast<int>(activation));
    CHECK(difference(out.template to<float>(), expected).rel_l2 < (std::is_same_v<T, float> ? 1e-6 : 4e-3));
  }
}

}  // namespace

TEST_CASE("the kernels of every instruction set agree with naive loops", "[ops][kernels]") {
  for (const auto* kernel : kernels::available()) {
    INFO("kernels " << kernel->instruction_set);
    test_products<float>(*kernel);
    test_products<bfloat16>(*kernel);
  }
  CHECK(&kernels::active() == kernels::available().front());
}

TEST_CASE("activations are accurate over their whole range", "[ops][kernels]") {
  std::vector<float> x;
  for (float v = -30.0f; v <= 30.0f; v += 0.013f) x.push_back(v);
  for (const float v : {0.0f, -0.0f, 1e-20f, -1e-20f, 100.0f, -100.0f, 1e30f, -1e30f}) x.push_back(v);
  std::vector<float> y(x.size());
  for (const auto* kernel : kernels::available())
    for (const auto activation : activations) {
      INFO("kernels " << kernel->instruction_set << ", activation " << static_cast<int>(activation));
      kernel->activate(x.data(), y.data(), static_cast<Index>(x.size()), activation);
      double worst = 0.0;
      for (std::size_t i = 0; i < x.size(); ++i) {
        const double exact = reference_activation(static_cast<double>(x[i]), activation);
        // Against the input's size: the tails that vanish may do so a little early.
        worst = std::max(worst, std::abs(static_cast<double>(y[i]) - exact) /
                                    std::max(1e-3, std::abs(static_cast<double>(x[i]))));
      }
      CHECK(worst < 5e-7);
    }
}

TEST_CASE("normalisation holds up where the mean is far from zero", "[ops]") {
  const auto context = context_for("native");
  for (const float offset : {0.0f, 1000.0f}) {
    const Index rows = 300, channels = 12;
    auto x = random_tensor({2, rows, channels}, 5);
    for (float& value : x.span()) value += offset;
    const auto gamma = random_tensor({channels}, 6), beta = random_tensor({channels}, 7);
    const auto bias = random_tensor({2, channels}, 8);
    const auto y =
        group_norm<float>(context, x, gamma, beta, 4, 1e-5f, Activation::silu, {.channel_bias = &bias});
    Tensor<float> expected(x.shape());
    for (Index n = 0; n < 2; ++n)
      for (Index group = 0; group < 4; ++group) {
        const auto value = [&](Index r, Index c) {
          return static_cast<double>(x.data()[(n * rows + r) * channels + c]) +
                 static_cast<double>(bias.data()[n * channels + c]);
        };
        double mean = 0, variance = 0;
        for (Index r = 0; r < rows; ++r)
          for (Index c = 3 * group; c < 3 * group + 3; ++c)
            mean += value(r, c) / static_cast<double>(3 * rows);
        for (Index r = 0; r < rows; ++r)
          for (Index c = 3 * group; c < 3 * group + 3; ++c)
            variance += (value(r, c) - mean) * (value(r, c) - mean) / static_cast<double>(3 * rows);
        for (Index r = 0; r < rows; ++r)
          for (Index c = 3 * group; c < 3 * group + 3; ++c)
            expected.data()[(n * rows + r) * channels + c] = static_cast<float>(reference_activation(
                (value(r, c) - mean) / std::sqrt(variance + 1e-5) * static_cast<double>(gamma.data()[c]) +
                    static_cast<double>(beta.data()[c]),
                Activation::silu));
      }
    // x itself is rounded to 6e-5 at 1000; that is what remains of it after the mean is taken off.
    CHECK(difference(y, expected).rel_l2 < (offset == 0.0f ? 1e-6 : 3e-4));

    const auto normed = layer_norm<float>(context, x, gamma, beta, 1e-5f);
    for (Index r = 0; r < 2 * rows; r += 97) {
      double mean = 0, variance = 0;
      const float* row = x.data() + r * channels;
      for (Index c = 0; c < channels; ++c)
        mean += static_cast<double>(row[c]) / static_cast<double>(channels);
      for (Index c = 0; c < channels; ++c)
        variance += (static_cast<double>(row[c]) - mean) * (static_cast<double>(row[c]) - mean) /
                    static_cast<double>(channels);
      for (Index c = 0; c < channels; ++c)
        CHECK(normed.data()[r * channels + c] ==
              Approx((static_cast<double>(row[c]) - mean) / std::sqrt(variance + 1e-5) *
                         static_cast<double>(gamma.data()[c]) +
                     static_cast<double>(beta.data()[c]))
                  .margin(offset == 0.0f ? 2e-6 : 1e-3));
    }
  }
  const auto x = random_tensor({1, 4, 6}, 1), six = random_tensor({6}, 2);
  expect_error<ArgumentError>([&] { group_norm<float>(context, x, six, six, 4, 1e-5f); },
                              {"6 channels", "4 groups"});
}

TEST_CASE("normalisation over rows of which the first stands far apart", "[ops]") {
  // As a prompt's tokens before their padding: a group is one channel.
  const auto context = context_for("native");
  const Index rows = 77, channels = 32;
  auto x = random_tensor({1, rows, channels}, 5);
  for (Index i = 0; i < x.size(); ++i) x.data()[i] = i < channels ? 20.0f : 0.1f * x.data()[i];
  const auto ones = Tensor<float>::full({channels}, 1.0f), zeros = Tensor<float>::zeros({channels});
  const auto y = group_norm<float>(context, x, ones, zeros, channels, 1e-5f);
  Tensor<float> expected(x.shape());
  for (Index c = 0; c < channels; ++c) {
    double mean = 0, variance = 0;
    const auto value = [&](Index r) { return static_cast<double>(x.data()[r * channels + c]); };
    for (Index r = 0; r < rows; ++r) mean += value(r) / static_cast<double>(rows);
    for (Index r = 0; r < rows; ++r)
      variance += (value(r) - mean) * (value(r) - mean) / static_cast<double>(rows);
    for (Index r = 0; r < rows; ++r)
      expected.data()[r * channels + c] = static_cast<float>((value(r) - mean) / std::sqrt(variance + 1e-5));
  }
  CHECK(difference(y, expected).rel_l2 < 5e-7);
}

TEST_CASE("element-wise operations do what they say", "[ops]") {
  const auto context = context_for("native");
  const auto a = random_tensor({2, 3, 4}, 1), b = random_tensor({2, 3, 4}, 2),
             wide = random_tensor({2, 3, 6}, 3);
  const auto sum = add(context, a, b, 0.5f);
  const auto joined = concat_channels(context, a, wide);
  CHECK(joined.shape() == Shape{2, 3, 10});
  for (Index i = 0; i < 24; ++i) CHECK(sum.data()[i] == (a.data()[i] + b.data()[i]) * 0.5f);
  for (Index row = 0; row < 6; ++row) {
    CHECK(joined.data()[row * 10 + 3] == a.data()[row * 4 + 3]);
    CHECK(joined.data()[row * 10 + 4] == wide.data()[row * 6]);
  }
  const auto gated = gated_activation(context, wide, Activation::gelu);
  CHECK(gated.data()[1] == Approx(static_cast<double>(wide.data()[1]) *
                                  reference_activation(static_cast<double>(wide.data()[4]), Activation::gelu))
                               .epsilon(1e-5));
  const auto bits = cast<bfloat16>(context, a);
  for (Index i = 0; i < 24; ++i) CHECK(bits.data()[i] == bfloat16(a.data()[i]));
  expect_error<ArgumentError>([&] { add(context, a, wide); }, {"[2, 3, 4]", "[2, 3, 6]"});
  expect_error<ArgumentError>([&] { concat_channels(context, a, a.reshape({3, 2, 4})); }, {"[3, 2, 4]"});

  auto bad = a.clone();
  check_finite(bad, "unet");
  bad.data()[5] = std::numeric_limits<float>::infinity();
  expect_error<NumericError>([&] { check_finite(bad, "unet"); }, {"[unet]", "infinity", "element 5"});
}

TEST_CASE("resampling and embeddings", "[ops]") {
  const auto context = context_for("native");
  const auto x = random_tensor({2, 3, 5, 4}, 1);
  const auto doubled = upsample_nearest<float>(context, x, 6, 10);
  const auto odd = upsample_nearest<float>(context, x, 5, 9);
  for (Index i = 0; i < 6; ++i)
    for (Index j = 0; j < 10; ++j)
      CHECK(doubled.data()[((6 + i) * 10 + j) * 4 + 2] == x.data()[((3 + i / 2) * 5 + j / 2) * 4 + 2]);
  CHECK(odd.data()[(4 * 9 + 8) * 4] == x.data()[(2 * 5 + 4) * 4]);
  const auto pooled = average_pool_2x2(context, x);
  CHECK(pooled.shape() == Shape{2, 1, 2, 4});
  CHECK(pooled.data()[0] == Approx(0.25f * (x.data()[0] + x.data()[4] + x.data()[20] + x.data()[24])));

  const auto one = global_average_pool(context, pooled);
  CHECK(one.shape() == Shape{2, 1, 1, 4});
  CHECK(one.data()[5] == Approx(0.5f * (pooled.data()[9] + pooled.data()[13])));

  const auto table = random_tensor({5, 3}, 2);
  const std::array<std::int32_t, 2> ids{4, 0}, bad{5, 0};
  CHECK(embedding_lookup(table, ids).data()[1] == table.data()[13]);
  expect_error<ArgumentError>([&] { embedding_lookup(table, bad); }, {"id 5", "5 rows"});
  const std::array<float, 1> now{3.0f};
  expect_error<ArgumentError>([&] { timestep_embedding(now, 1); }, {"width of 1"});
  const auto embedded = timestep_embedding(now, 4);
  CHECK(embedded.data()[0] == Approx(std::cos(3.0)));
  CHECK(embedded.data()[2] == Approx(std::sin(3.0)));
  CHECK(embedded.data()[1] == Approx(std::cos(0.03)));
}

TEST_CASE("RMS norm agrees with a naive loop", "[ops][kernels]") {
  const auto context = context_for("native");
  for (const Index channels : {1, 7, 64, 1031}) {
    INFO(channels << " channels, seed 31");
    const auto x = random_tensor({3, 11, channels}, 31, 4.0f), gamma = random_tensor({channels}, 32);
    Tensor<float> expected(x.shape());
    for (Index row = 0; row < 33; ++row) {
      double squares = 0.0;
      for (Index c = 0; c < channels; ++c) {
        const auto value = static_cast<double>(x.data()[row * channels + c]);
        squares += value * value;
      }
      for (Index c = 0; c < channels; ++c)
        expected.data()[row * channels + c] = static_cast<float>(
            static_cast<double>(x.data()[row * channels + c]) /
            std::sqrt(squares / static_cast<double>(channels) + 1e-3) * static_cast<double>(gamma.data()[c]));
    }
    CHECK(difference(rms_norm<float>(context, x, gamma, 1e-3f), expected).rel_l2 < 1e-6);
    CHECK(difference(rms_norm<bfloat16>(context, x, gamma, 1e-3f).to<float>(), expected).rel_l2 < 3e-3);
    for (float& value : expected.span()) value /= 1.0f + std::exp(-value);
    CHECK(difference(rms_norm<float>(context, x, gamma, 1e-3f, Activation::silu), expected).rel_l2 < 1e-6);
  }
}

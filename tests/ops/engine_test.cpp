#include "daguerre/ops/engine.hpp"

#include <cmath>
#include <thread>

#include "daguerre/ops/elementwise.hpp"
#include "daguerre/ops/tokens.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/golden.hpp"
#include "support/random_tensor.hpp"
#include "support/reference_activation.hpp"

using namespace daguerre;
using namespace daguerre::ops;
using namespace daguerre::test;

namespace {

/// Float32 sums of products lose about 1e-7 whatever is multiplied, the operands being rounded before both
/// computations. A result in bfloat16 is off by up to 2^-9 = 2e-3 relative, and attention's weights are
/// rounded on the way, too.
template <class T>
constexpr double bound = std::is_same_v<T, float> ? 1e-6 : 8e-3;

/// The value rounded as the engine will see it.
template <class T>
Tensor<float> rounded(const Tensor<float>& x) {
  return x.to<T>().template to<float>();
}

Tensor<float> naive_linear(const Tensor<float>& x, const Tensor<float>& w, const Tensor<float>& bias,
                           Activation activation, const Tensor<float>* residual) {
  const Index k = w.dim(1), n = w.dim(0), m = x.size() / k;
  Tensor<float> y(x.shape().with(-1, n));
  for (Index i = 0; i < m; ++i)
    for (Index j = 0; j < n; ++j) {
      double sum = bias.empty() ? 0.0 : static_cast<double>(bias.data()[j]);
      for (Index l = 0; l < k; ++l)
        sum += static_cast<double>(x.data()[i * k + l]) * static_cast<double>(w.data()[j * k + l]);
      sum = reference_activation(sum, activation);
      if (residual != nullptr) sum += static_cast<double>(residual->data()[i * n + j]);
      y.data()[i * n + j] = static_cast<float>(sum);
    }
  return y;
}

Tensor<float> naive_conv2d(const Tensor<float>& x, const Tensor<float>& w, const Tensor<float>& bias,
                           const ConvGeometry& g, Activation activation, const Tensor<float>* residual) {
  const Index height = g.output_size(x.dim(1), w.dim(2), true),
              width = g.output_size(x.dim(2), w.dim(3), false);
  Tensor<float> y({x.dim(0), height, width, w.dim(0)});
  float* out = y.data();
  for (Index n = 0; n < x.dim(0); ++n)
    for (Index row = 0; row < height; ++row)
      for (Index column = 0; column < width; ++column)
        for (Index o = 0; o < w.dim(0); ++o, ++out) {
          double sum = bias.empty() ? 0.0 : static_cast<double>(bias.data()[o]);
          for (Index ky = 0; ky < w.dim(2); ++ky)
            for (Index kx = 0; kx < w.dim(3); ++kx) {
              const Index iy = row * g.stride - g.pad_top + ky, ix = column * g.stride - g.pad_left + kx;
              if (iy < 0 || iy >= x.dim(1) || ix < 0 || ix >= x.dim(2)) continue;
              for (Index c = 0; c < x.dim(3); ++c)
                sum += static_cast<double>(x.data()[((n * x.dim(1) + iy) * x.dim(2) + ix) * x.dim(3) + c]) *
                       static_cast<double>(w.data()[((o * w.dim(1) + c) * w.dim(2) + ky) * w.dim(3) + kx]);
            }
          sum = reference_activation(sum, activation);
          if (residual != nullptr) sum += static_cast<double>(residual->data()[out - y.data()]);
          *out = static_cast<float>(sum);
        }
  return y;
}

/// q[N, L, heads * d], k and v[N, S, heads * d]
Tensor<float> naive_attention(const Tensor<float>& q, const Tensor<float>& k, const Tensor<float>& v,
                              Index heads, double scale, const Tensor<float>* key_bias,
                              const Tensor<float>* relative_bias, bool causal) {
  const Index length = q.dim(1), keys = k.dim(1), d = q.dim(2) / heads, dv = v.dim(2) / heads;
  Tensor<float> y({q.dim(0), length, v.dim(2)});
  for (Index n = 0; n < q.dim(0); ++n)
    for (Index h = 0; h < heads; ++h)
      for (Index i = 0; i < length; ++i) {
        std::vector<double> weights;
        double maximum = -1e300, sum = 0;
        for (Index j = 0; j < (causal ? std::min(i + 1, keys) : keys); ++j) {
          double logit = 0;
          for (Index c = 0; c < d; ++c)
            logit += static_cast<double>(q.data()[(n * length + i) * q.dim(2) + h * d + c]) *
                     static_cast<double>(k.data()[(n * keys + j) * k.dim(2) + h * d + c]);
          logit = logit * scale +
                  (key_bias == nullptr ? 0.0 : static_cast<double>(key_bias->data()[n * keys + j]));
          if (relative_bias != nullptr)
            logit += static_cast<double>(relative_bias->data()[(j - i + length - 1) * heads + h]);
          weights.push_back(logit);
          maximum = std::max(maximum, logit);
        }
        for (double& weight : weights) sum += weight = std::exp(weight - maximum);
        for (Index c = 0; c < dv; ++c) {
          double value = 0;
          for (std::size_t j = 0; j < weights.size(); ++j)
            value +=
                weights[j] / sum *
                static_cast<double>(v.data()[(n * keys + static_cast<Index>(j)) * v.dim(2) + h * dv + c]);
          y.data()[(n * length + i) * v.dim(2) + h * dv + c] = static_cast<float>(value);
        }
      }
  return y;
}

template <class T>
void test_linear(const Context& context) {
  struct Case {
    Index rows, in, out;
    bool bias, residual;
    Activation activation;
  };
  const std::vector<Case> cases{{1, 1, 1, true, false, Activation::none},
                                {2, 320, 1280, true, false, Activation::silu},
                                {5, 17, 33, false, true, Activation::none},
                                {77, 24, 24, true, true, Activation::gelu},
                                {130, 40, 70, true, false, Activation::quick_gelu},
                                {121, 600, 513, true, true, Activation::gelu_tanh},
                                {3, 1030, 5, true, false, Activation::none},
                                {9, 40, 24, true, false, Activation::relu},
                                {9, 24, 40, true, true, Activation::mish},
                                // Divided into tiles, by rows and by columns.
                                {200, 96, 2600, true, true, Activation::none},
                                {600, 80, 90, true, true, Activation::silu},
                                {5, 640, 700, true, false, Activation::none}};
  unsigned seed = 1;
  for (const auto& c : cases) {
    INFO("rows " << c.rows << " in " << c.in << " out " << c.out << " seed " << seed);
    const auto x = random_tensor({c.rows, c.in}, seed++);
    const auto w = random_tensor({c.out, c.in}, seed++, 1.0f / std::sqrt(static_cast<float>(c.in)));
    const auto bias = c.bias ? random_tensor({c.out}, seed++) : Tensor<float>();
    const auto residual = random_tensor({c.rows, c.out}, seed++);
    const auto layer = context.engine->as<T>().pack_linear(context, w, bias, c.activation);
    const auto narrow = x.template to<T>();
    const auto sums = layer->accumulate(context, narrow, c.residual ? &residual : nullptr);
    const auto expected =
        naive_linear(rounded<T>(x), rounded<T>(w), bias, c.activation, c.residual ? &residual : nullptr);
    CHECK(difference(sums, expected).rel_l2 < bound<float>);
    const auto plain =
        c.residual ? naive_linear(rounded<T>(x), rounded<T>(w), bias, c.activation, nullptr) : expected;
    CHECK(difference((*layer)(context, narrow).template to<float>(), plain).rel_l2 < bound<T>);
  }
}

template <class T>
void test_conv2d(const Context& context) {
  struct Case {
    Index batch, height, width, in, out, kernel;
    ConvGeometry geometry;
    bool bias, residual;
    Activation activation = Activation::none;
  };
  const std::vector<Case> cases{{1, 5, 7, 4, 8, 3, ConvGeometry::same(1), true, false},
                                {2, 16, 12, 9, 24, 3, ConvGeometry::same(1), true, true},
                                {1, 9, 9, 8, 8, 3, ConvGeometry::same(1, 2), true, false},
                                {1, 8, 10, 8, 16, 3, {2, 0, 0, 1, 1}, true, false},
                                {2, 7, 9, 16, 5, 1, ConvGeometry::same(0), false, false},
                                {1, 33, 20, 70, 40, 3, ConvGeometry::same(1), true, true},
                                {1, 6, 6, 3, 64, 5, ConvGeometry::same(2), true, false},
                                // Divided into tiles of rows.
                                {2, 41, 24, 24, 40, 3, ConvGeometry::same(1), true, true},
                                {1, 65, 32, 32, 48, 3, ConvGeometry::same(1, 2), true, false},
                                {1, 64, 33, 40, 32, 3, {2, 0, 0, 1, 1}, true, true},
                                {1, 50, 50, 30, 32, 5, ConvGeometry::same(2), false, true},
                                // With an activation ahead of the residual.
                                {1, 20, 20, 16, 24, 3, ConvGeometry::same(1), true, false, Activation::relu},
                                {1, 9, 9, 8, 8, 3, ConvGeometry::same(0, 2), true, true, Activation::relu},
                                {2, 7, 9, 16, 5, 1, ConvGeometry::same(0), true, false, Activation::gelu}};
  unsigned seed = 100;
  for (const auto& c : cases) {
    INFO("input " << c.batch << " x " << c.height << " x " << c.width << " x " << c.in << " out " << c.out
                  << " seed " << seed);
    const auto x = random_tensor({c.batch, c.height, c.width, c.in}, seed++);
    const auto w = random_tensor({c.out, c.in, c.kernel, c.kernel}, seed++,
                                 1.0f / std::sqrt(static_cast<float>(c.in * c.kernel * c.kernel)));
    const auto bias = c.bias ? random_tensor({c.out}, seed++) : Tensor<float>();
    const auto layer = context.engine->as<T>().pack_conv2d(context, w, bias, c.geometry, c.activation);
    const auto plain = naive_conv2d(rounded<T>(x), rounded<T>(w), bias, c.geometry, c.activation, nullptr);
    const auto residual = random_tensor(plain.shape(), seed++);
    const auto y = (*layer)(context, x.template to<T>(), c.residual ? residual : Tensor<float>());
    const auto expected =
        c.residual ? naive_conv2d(rounded<T>(x), rounded<T>(w), bias, c.geometry, c.activation, &residual)
                   : plain;
    CHECK(difference(y, expected).rel_l2 < bound<float>);
    if (c.residual) {  // one given away is used up, and the result the same
      auto given = residual.clone();
      const float* const storage = given.data();
      const auto in_place = (*layer)(context, x.template to<T>(), std::move(given));
      CHECK(in_place.data() == storage);
      CHECK(difference(in_place, y).max_abs == 0.0);
    }
    CHECK(difference(layer->rounded(context, x.template to<T>()).template to<float>(), plain).rel_l2 <
          bound<T>);
  }
}

/// Each of so many heads of `x[N, S, heads * d]` again and again: what queries that share keys see.
Tensor<float> repeated_heads(const Tensor<float>& x, Index heads, Index times) {
  const Index d = x.dim(2) / heads;
  Tensor<float> y({x.dim(0), x.dim(1), x.dim(2) * times});
  for (Index row = 0; row < x.dim(0) * x.dim(1); ++row)
    for (Index head = 0; head < heads * times; ++head)
      std::copy_n(x.data() + row * x.dim(2) + head / times * d, d,
                  y.data() + (row * heads * times + head) * d);
  return y;
}

/// Keys of several heads of queries, in a store with room for more, behind some of which the queries stand.
template <class T>
void test_shared_keys(const Context& context) {
  struct Case {
    Index batch, length, keys, key_heads, shared, width, window;
    float soft_cap;
  };
  for (const auto& c :
       {Case{1, 1, 1, 1, 1, 4, 0, 0.0f}, Case{1, 1, 700, 2, 3, 16, 0, 0.0f}, Case{2, 3, 90, 2, 2, 8, 5, 0.0f},
        Case{2, 70, 300, 2, 3, 8, 0, 0.0f}, Case{1, 150, 150, 1, 4, 12, 40, 3.0f}}) {
    INFO("length " << c.length << " keys " << c.keys << " heads " << c.key_heads << " x " << c.shared);
    const Index width = c.key_heads * c.width, first = c.keys - c.length;
    const auto q = random_tensor({c.batch, c.length, width * c.shared}, 1, 2.0f);
    const auto k = random_tensor({c.batch, c.keys, width}, 2), v = random_tensor({c.batch, c.keys, width}, 3);
    const auto queries = q.template to<T>(), keys = k.template to<T>(), values = v.template to<T>();
    const auto stored = [&](const Tensor<T>& tokens) {
      // All at first, and the last ones again, as a cache does that was cut short.
      auto store = append_tokens<T>(context, {}, 0, TokenView<T>::all(tokens), c.keys + 9);
      return append_tokens<T>(context, std::move(store), 0, TokenView<T>::all(tokens), c.keys + 9);
    };
    const auto key_store = stored(keys), value_store = stored(values);
    const float scale = 1.0f / std::sqrt(static_cast<float>(c.width));
    AttentionArguments<T> arguments{.query = TokenView<T>::all(queries),
                                    .key = TokenView<T>::first(key_store, c.keys),
                                    .value = TokenView<T>::first(value_store, c.keys),
                                    .heads = static_cast<int>(c.key_heads * c.shared),
                                    .scale = scale,
                                    .causal = true,
                                    .key_heads = static_cast<int>(c.key_heads),
                                    .first_query = first,
                                    .window = c.window,
                                    .soft_cap = c.soft_cap};
    const auto y = context.engine->as<T>().attention(context, arguments).template to<float>();
    for (Index i = 0; i < c.length; ++i) {  // token by token, with no keys but those it sees
      const Index end = first + i + 1, begin = c.window == 0 ? 0 : std::max<Index>(0, end - c.window);
      for (Index n = 0; n < c.batch && c.soft_cap == 0.0f; ++n) {
        const auto row = [&](const Tensor<float>& x, Index from, Index to) {
          return rounded<T>(x[n].slice(from, to).reshape({1, to - from, x.dim(2)}));
        };
        const auto expected =
            naive_attention(row(q, i, i + 1), repeated_heads(row(k, begin, end), c.key_heads, c.shared),
                            repeated_heads(row(v, begin, end), c.key_heads, c.shared), c.key_heads * c.shared,
                            static_cast<double>(scale), nullptr, nullptr, false);
        CHECK(difference(y[n].slice(i, i + 1).reshape(expected.shape()), expected).rel_l2 < bound<T>);
      }
    }
    // A cap far above all logits changes nothing.
    arguments.soft_cap = 1e5f;
    const auto high = context.engine->as<T>().attention(context, arguments).template to<float>();
    arguments.soft_cap = 0.0f;
    const auto none = context.engine->as<T>().attention(context, arguments).template to<float>();
    CHECK(difference(high, none).rel_l2 < bound<T>);
    if (c.soft_cap > 0.0f) CHECK(difference(y, none).rel_l2 > 1e-3);
  }
}

template <class T>
void test_attention(const Context& context) {
  struct Case {
    Index batch, length, keys, heads, width;
    bool bias, causal, relative_bias = false;
  };
  const std::vector<Case> cases{
      {1, 1, 1, 1, 4, false, false},         {2, 10, 7, 2, 8, true, false},
      {1, 77, 77, 3, 8, false, true},        {1, 300, 300, 2, 40, false, true},
      {1, 130, 1100, 1, 16, true, false},    {2, 260, 77, 2, 40, false, false},
      {2, 77, 77, 3, 16, true, false, true}, {1, 300, 130, 2, 8, false, false, true},
      {1, 5, 260, 1, 64, false, true, true}};
  unsigned seed = 200;
  for (const auto& c : cases) {
    INFO("length " << c.length << " keys " << c.keys << " heads " << c.heads << " seed " << seed);
    const Index channels = c.heads * c.width;
    const auto q = random_tensor({c.batch, c.length, channels}, seed++, 2.0f);
    // Keys and values side by side in one tensor, as a fused projection leaves them.
    const auto kv = random_tensor({c.batch, c.keys, 2 * channels}, seed++);
    auto bias = random_tensor({c.batch, c.keys}, seed++);
    if (c.keys > 1) bias.data()[1] = -10000.0f;
    Tensor<float> k({c.batch, c.keys, channels}), v({c.batch, c.keys, channels});
    for (Index row = 0; row < c.batch * c.keys; ++row) {
      std::copy_n(kv.data() + row * 2 * channels, channels, k.data() + row * channels);
      std::copy_n(kv.data() + row * 2 * channels + channels, channels, v.data() + row * channels);
    }
    const float scale = 1.0f / std::sqrt(static_cast<float>(c.width));
    const auto narrow_q = q.template to<T>();
    const auto narrow_kv = kv.template to<T>();
    AttentionArguments<T> arguments{
        TokenView<T>::all(narrow_q), TokenView<T>::columns(narrow_kv, 0, channels),
        TokenView<T>::columns(narrow_kv, channels, channels), static_cast<int>(c.heads), scale};
    if (c.bias) arguments.key_bias = &bias;
    const auto relative_bias = random_tensor({c.length + c.keys - 1, c.heads}, seed++);
    if (c.relative_bias) arguments.relative_bias = &relative_bias;
    arguments.causal = c.causal;
    const auto y = context.engine->as<T>().attention(context, arguments);
    const auto expected =
        naive_attention(rounded<T>(q), rounded<T>(k), rounded<T>(v), c.heads, static_cast<double>(scale),
                        c.bias ? &bias : nullptr, c.relative_bias ? &relative_bias : nullptr, c.causal);
    CHECK(difference(y.template to<float>(), expected).rel_l2 < bound<T>);
  }
}

}  // namespace

TEST_CASE("both engines agree with naive products", "[ops][engine]") {
  for (const auto& name : engine_names()) {
    INFO("engine " << name);
    const auto context = context_for(name);
    SECTION(name + " linear") {
      test_linear<float>(context);
      test_linear<bfloat16>(context);
    }
    SECTION(name + " conv2d") {
      test_conv2d<float>(context);
      test_conv2d<bfloat16>(context);
    }
    SECTION(name + " attention") {
      test_attention<float>(context);
      test_attention<bfloat16>(context);
      test_shared_keys<float>(context);
      test_shared_keys<bfloat16>(context);
    }
  }
}

TEST_CASE("results do not depend on the number of threads", "[ops][engine]") {
  for (const auto& name : engine_names()) {
    INFO("engine " << name);
    const auto x = random_tensor({1, 24, 24, 32}, 7);
    const auto tokens = x.reshape({1, 576, 32});
    const auto large = random_tensor({1, 40, 40, 64}, 11);
    const auto run = [&](int threads) {
      const auto context = context_for(name, threads);
      const auto& engine = context.engine->as<float>();
      const auto conv = (*engine.pack_conv2d(context, random_tensor({48, 32, 3, 3}, 8),
                                             random_tensor({48}, 9), ConvGeometry::same(1)))(context, x);
      const auto linear = (*engine.pack_linear(context, random_tensor({96, 32}, 10), {}))(context, tokens);
      const auto attention = engine.attention(
          context, {TokenView<float>::columns(linear, 0, 32), TokenView<float>::columns(linear, 32, 32),
                    TokenView<float>::columns(linear, 64, 32), 4, 0.3f});
      const auto tiled = (*engine.pack_conv2d(context, random_tensor({80, 64, 3, 3}, 12), {},
                                              ConvGeometry::same(1)))(context, large);
      const auto wide = (*engine.pack_linear(context, random_tensor({2600, 64}, 13), {}))(
          context, large.reshape({1600, 64}));
      return std::array{conv, linear, attention, tiled, wide};
    };
    const auto one = run(1), three = run(3), sixteen = run(16);
    for (std::size_t i = 0; i < one.size(); ++i) {
      CHECK(std::equal(one[i].data(), one[i].data() + one[i].size(), three[i].data()));
      CHECK(std::equal(one[i].data(), one[i].data() + one[i].size(), sixteen[i].data()));
    }
  }
}

TEST_CASE("a residual that someone keeps is read by many threads and left alone", "[ops][engine]") {
  const auto x = random_tensor({1, 96, 96, 8}, 1), weight = random_tensor({16, 8, 3, 3}, 2);
  const auto kept = random_tensor({1, 96, 96, 16}, 3);
  for (const auto& name : engine_names()) {
    INFO("engine " << name);
    const auto context = context_for(name, 8);
    const auto layer = context.engine->as<float>().pack_conv2d(context, weight, {}, ConvGeometry::same(1));
    const auto expected = (*layer)(context, x, kept.clone());
    for (int round = 0; round < 20; ++round)
      CHECK(difference((*layer)(context, x, kept), expected).max_abs == 0.0);
    CHECK(difference(kept, random_tensor({1, 96, 96, 16}, 3)).max_abs == 0.0);
    // An empty one is none, whatever storage it has.
    CHECK((*layer)(context, x, Tensor<float>(Shape{0})).shape() == kept.shape());
  }
}

TEST_CASE("one packed layer serves several threads at once", "[ops][engine]") {
  for (const auto& name : engine_names()) {
    INFO("engine " << name);
    const auto context = context_for(name, 1);
    const auto layer =
        context.engine->as<float>().pack_linear(context, random_tensor({40, 30}, 1), random_tensor({40}, 2));
    std::vector<Tensor<float>> expected;
    for (Index rows = 1; rows <= 8; ++rows)
      expected.push_back((*layer)(context, random_tensor({rows, 30}, 3)));
    const auto fresh =
        context.engine->as<float>().pack_linear(context, random_tensor({40, 30}, 1), random_tensor({40}, 2));
    std::vector<Tensor<float>> actual(expected.size());
    {
      std::vector<std::jthread> threads;
      for (std::size_t i = 0; i < actual.size(); ++i)
        threads.emplace_back([&, i] {
          const auto own = context_for(name, 1);
          actual[i] = (*fresh)(own, random_tensor({static_cast<Index>(i) + 1, 30}, 3));
        });
    }
    for (std::size_t i = 0; i < actual.size(); ++i) CHECK(difference(actual[i], expected[i]).max_abs == 0.0);
  }
}

TEST_CASE("engines refuse what does not fit", "[ops][engine]") {
  expect_error<ArgumentError>([] { make_engine("cuda"); }, {"[engine]", "\"cuda\"", "native"});
  for (const auto& name : engine_names()) {
    const auto context = context_for(name);
    const auto& engine = context.engine->as<float>();
    const auto linear = engine.pack_linear(context, random_tensor({4, 3}, 1), {});
    expect_error<ArgumentError>(
        [&] {
          (*linear)(context, random_tensor({2, 5}, 1));
        },
        {"[2, 5]", "3 columns"});
    const auto residual = random_tensor({2, 3}, 1);
    expect_error<ArgumentError>(
        [&] {
          linear->accumulate(context, random_tensor({2, 3}, 1), &residual);
        },
        {"residual [2, 3]", "[2, 4]"});
    expect_error<ArgumentError>(
        [&] {
          engine.pack_linear(context, random_tensor({4, 3}, 1), random_tensor({3}, 1));
        },
        {"bias [3]"});
    const auto conv = engine.pack_conv2d(context, random_tensor({4, 3, 3, 3}, 1), {}, ConvGeometry::same(0));
    expect_error<ArgumentError>([&] { (*conv)(context, random_tensor({1, 2, 9, 3}, 1)); }, {"kernel of 3"});
    expect_error<ArgumentError>([&] { (*conv)(context, random_tensor({1, 9, 9, 4}, 1)); }, {"[1, 9, 9, 4]"});
    const auto q = random_tensor({1, 4, 6}, 1);
    expect_error<ArgumentError>(
        [&] {
          engine.attention(
              context, {TokenView<float>::all(q), TokenView<float>::all(q), TokenView<float>::all(q), 4, 1});
        },
        {"4 heads"});
  }
}

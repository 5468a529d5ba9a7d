#include "daguerre/ops/heads.hpp"

#include <array>
#include <cmath>
#include <random>

#include "daguerre/ops/interleaved_rotary.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/golden.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;
using ops::HeadNorm;

namespace {

/// One head in double, by the formulas of HeadNorm::Kind.
std::vector<double> naive(const float* row, Index size, const HeadNorm& norm) {
  const auto count = static_cast<double>(size);
  double mean = 0.0, squares = 0.0;
  if (norm.kind == HeadNorm::Kind::layer_norm)
    for (Index i = 0; i < size; ++i) mean += static_cast<double>(row[i]) / count;
  for (Index i = 0; i < size; ++i) squares += std::pow(static_cast<double>(row[i]) - mean, 2.0);
  const auto epsilon = static_cast<double>(norm.epsilon);
  const double length = norm.kind == HeadNorm::Kind::l2 ? std::max(std::sqrt(squares), epsilon)
                                                        : std::sqrt(squares / count + epsilon);
  std::vector<double> result;
  for (Index i = 0; i < size; ++i)
    result.push_back((static_cast<double>(row[i]) - mean) / length *
                         (norm.gamma.empty() ? 1.0 : static_cast<double>(norm.gamma.data()[i])) +
                     (norm.beta.empty() ? 0.0 : static_cast<double>(norm.beta.data()[i])));
  return result;
}

}  // namespace

TEST_CASE("heads are normalised as the formulas say, out of a wider tensor", "[ops][heads]") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 generator(seed);
  const auto draw = [&](int most) { return std::uniform_int_distribution<Index>(1, most)(generator); };
  const Index batch = draw(3), length = draw(40), heads = draw(4), head_dim = 1 + draw(40), before = draw(5);
  const auto wide = test::random_tensor({batch, length, before + heads * head_dim + 3}, seed + 1, 3.0f);
  const auto kind = GENERATE(HeadNorm::Kind::layer_norm, HeadNorm::Kind::rms_norm, HeadNorm::Kind::l2);
  const bool has_gamma = GENERATE(false, true), has_beta = GENERATE(false, true);
  const HeadNorm norm{
      .kind = kind,
      .gamma = has_gamma ? test::random_tensor({head_dim}, seed + 2) : Tensor<float>(),
      .beta = has_beta ? test::random_tensor({head_dim}, seed + 3) : Tensor<float>(),
      .epsilon = 1e-2f,
  };
  Tensor<float> expected({batch, length, heads * head_dim});
  for (Index token = 0; token < batch * length; ++token)
    for (Index head = 0; head < heads; ++head) {
      const auto row = naive(wide.data() + token * wide.dim(2) + before + head * head_dim, head_dim, norm);
      for (Index i = 0; i < head_dim; ++i)
        expected.data()[(token * heads + head) * head_dim + i] =
            static_cast<float>(row[static_cast<std::size_t>(i)]);
    }
  const auto context = test::context_for("native");
  const auto joined = [&]<class T>(const Tensor<T>& tokens) {
    const ops::HeadStream<T> stream{ops::TokenView<T>::columns(tokens, before, heads * head_dim), &norm};
    return ops::join_heads<T>(context, std::array{stream}, head_dim).template to<float>();
  };
  CHECK(test::difference(joined(wide), expected).rel_l2 < 1e-6);
  CHECK(test::difference(joined(wide.to<bfloat16>()), expected).rel_l2 < 1e-2);
}

TEST_CASE("streams lie one behind the other, each normalised by its own and turned by its place",
          "[ops][heads]") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 generator(seed);
  const auto draw = [&](int most) { return std::uniform_int_distribution<Index>(1, most)(generator); };
  const Index batch = draw(3), heads = draw(3), head_dim = 2 * draw(20), width = heads * head_dim;
  const std::array lengths{draw(20), draw(20), draw(20)};
  const Index length = lengths[0] + lengths[1] + lengths[2];
  const auto pairs = GENERATE(ops::RotaryPairs::neighbours, ops::RotaryPairs::halves);
  const bool turns = GENERATE(false, true);
  const ops::RotaryTable table{test::random_tensor({length, head_dim / 2}, seed + 1),
                               test::random_tensor({length, head_dim / 2}, seed + 2), pairs};
  HeadNorm first, second;
  first.gamma = test::random_tensor({head_dim}, seed + 3);
  second.epsilon = 1e-2f;
  second.across_heads = GENERATE(false, true);
  if (second.across_heads) second.gamma = test::random_tensor({width}, seed + 9);
  const std::array<const HeadNorm*, 3> norms{&first, nullptr, &second};

  std::vector<Tensor<float>> tokens;
  std::vector<ops::HeadStream<float>> streams;
  Tensor<float> expected({batch, length, width});
  for (std::size_t s = 0; s < norms.size(); ++s)
    tokens.push_back(
        test::random_tensor({batch, lengths[s], width + 5}, seed + 4 + static_cast<unsigned>(s)));
  Index place = 0;
  for (std::size_t s = 0; s < norms.size(); ++s) {
    streams.push_back({ops::TokenView<float>::columns(tokens[s], 2, width), norms[s]});
    for (Index l = 0; l < lengths[s]; ++l, ++place)
      for (Index n = 0; n < batch; ++n)
        for (Index head = 0; head < heads; ++head) {
          const float* row = tokens[s].data() + (n * lengths[s] + l) * (width + 5) + 2 + head * head_dim;
          std::vector<double> values(row, row + head_dim);
          const bool across = norms[s] != nullptr && norms[s]->across_heads;
          if (across)
            values = naive(row - head * head_dim, width, *norms[s]);
          else if (norms[s] != nullptr)
            values = naive(row, head_dim, *norms[s]);
          const auto value = [&](Index i) {
            return values[static_cast<std::size_t>(across ? head * head_dim + i : i)];
          };
          float* out = expected.data() + (n * length + place) * width + head * head_dim;
          for (Index i = 0; i < head_dim / 2; ++i) {
            const bool together = pairs == ops::RotaryPairs::neighbours;
            const Index a = together ? 2 * i : i, b = together ? 2 * i + 1 : i + head_dim / 2;
            const auto c = static_cast<double>(table.cosine.data()[place * (head_dim / 2) + i]);
            const auto z = static_cast<double>(table.sine.data()[place * (head_dim / 2) + i]);
            out[a] = static_cast<float>(turns ? value(a) * c - value(b) * z : value(a));
            out[b] = static_cast<float>(turns ? value(b) * c + value(a) * z : value(b));
          }
        }
  }
  const auto context = test::context_for("native");
  CHECK(
      test::difference(ops::join_heads<float>(context, streams, head_dim, turns ? &table : nullptr), expected)
          .rel_l2 < 1e-6);
}

TEST_CASE("a grid's positions run along the last axis first", "[ops][heads]") {
  const auto positions = ops::grid_positions(std::array<Index, 3>{2, 1, 3});
  REQUIRE(positions.shape() == Shape{6, 3});
  const std::array<float, 18> expected{0, 0, 0, 0, 0, 1, 0, 0, 2, 1, 0, 0, 1, 0, 1, 1, 0, 2};
  CHECK(std::equal(expected.begin(), expected.end(), positions.data()));
  CHECK(ops::grid_positions(std::array<Index, 2>{0, 4}).empty());
  test::expect_error<ArgumentError>([] { ops::grid_positions(std::array<Index, 1>{-1}); }, {"-1"});
}

TEST_CASE("positions of a grid are all combinations of its axes' coordinates", "[ops][heads]") {
  const auto positions =
      ops::grid_positions(std::array{std::vector<float>{0.5f, 7.0f}, std::vector<float>{-1.0f, 0.0f, 1.0f}});
  REQUIRE(positions.shape() == Shape{6, 2});
  const std::array<float, 12> expected{0.5f, -1, 0.5f, 0, 0.5f, 1, 7, -1, 7, 0, 7, 1};
  CHECK(std::equal(expected.begin(), expected.end(), positions.data()));
}

TEST_CASE("learned frequencies turn every head by angles of its own", "[ops][heads]") {
  const Index length = 3, heads = 2, half = 2;
  const auto positions = test::random_tensor({length, 2}, 1, 4.0f),
             frequencies = test::random_tensor({2, heads * half}, 2),
             x = test::random_tensor({1, length, 8}, 3);
  const auto table = ops::learned_rotary_table(positions, frequencies);
  using Stream = ops::HeadStream<float>;
  const auto turned = ops::join_heads<float>(test::context_for("native"),
                                             std::array{Stream{ops::TokenView<float>::all(x)}}, 4, &table);
  Tensor<float> expected(x.shape());
  for (Index token = 0; token < length; ++token)
    for (Index pair = 0; pair < heads * half; ++pair) {
      double angle = 0.0;
      for (Index axis = 0; axis < 2; ++axis)
        angle += static_cast<double>(positions.data()[token * 2 + axis]) *
                 static_cast<double>(frequencies.data()[axis * heads * half + pair]);
      const Index place = token * 8 + 2 * pair;
      const double a = x.data()[place], b = x.data()[place + 1];
      expected.data()[place] = static_cast<float>(a * std::cos(angle) - b * std::sin(angle));
      expected.data()[place + 1] = static_cast<float>(b * std::cos(angle) + a * std::sin(angle));
    }
  CHECK(test::difference(turned, expected).rel_l2 < 1e-6);
  test::expect_error<ArgumentError>(
      [&] {
        ops::learned_rotary_table(positions, Tensor<float>::zeros({3, 4}));
      },
      {"[3, 4]", "[3, 2]"});
}

TEST_CASE("a rotary table turns each axis' channels by its positions", "[ops][heads]") {
  const auto positions = Tensor<float>::copy_of({3, 2}, std::array{0.0f, 2.0f, 5.0f, 2.0f, 5.0f, -1.5f});
  const std::array<Index, 2> axes{2, 6};
  const auto table = ops::rotary_table(positions, axes, 100.0);
  REQUIRE(table.cosine.shape() == Shape{3, 4});
  for (Index token = 0; token < 3; ++token)
    for (Index i = 0; i < 4; ++i) {
      const double position = positions.data()[token * 2 + (i == 0 ? 0 : 1)];
      const double angle =
          i == 0 ? position : position * std::pow(100.0, -2.0 * static_cast<double>(i - 1) / 6.0);
      INFO(token << ", " << i);
      CHECK(std::abs(static_cast<double>(table.cosine.data()[token * 4 + i]) - std::cos(angle)) < 1e-7);
      CHECK(std::abs(static_cast<double>(table.sine.data()[token * 4 + i]) - std::sin(angle)) < 1e-7);
    }
  test::expect_error<ArgumentError>([&] { ops::rotary_table(positions, std::array<Index, 1>{2}, 100.0); },
                                    {"[3, 2]", "[L, 1]"});
  test::expect_error<ArgumentError>(
      [&] {
        ops::rotary_table(positions, std::array<Index, 2>{2, 3}, 100.0);
      },
      {"an axis of 3"});
}

TEST_CASE("heads refuse what does not fit", "[ops][heads]") {
  const auto context = test::context_for("native");
  const auto x = Tensor<float>::zeros({1, 2, 12}), other = Tensor<float>::zeros({1, 2, 8});
  using Stream = ops::HeadStream<float>;
  const auto view = ops::TokenView<float>::all(x);
  const auto run = [&](Index head_dim, const Tensor<float>& gamma, const Tensor<float>& beta) {
    const HeadNorm norm{.gamma = gamma, .beta = beta};
    ops::join_heads<float>(context, std::array{Stream{view, &norm}}, head_dim);
  };
  test::expect_error<ArgumentError>([&] { run(5, {}, {}); }, {"12 columns", "heads of 5"});
  test::expect_error<ArgumentError>([&] { run(0, {}, {}); }, {"heads of 0"});
  test::expect_error<ArgumentError>([&] { run(4, Tensor<float>::zeros({3}), {}); }, {"gamma [3]"});
  test::expect_error<ArgumentError>([&] { run(4, {}, Tensor<float>::zeros({12})); }, {"beta [12]"});
  test::expect_error<ArgumentError>([&] { ops::join_heads<float>(context, {}, 4); }, {"no tokens"});
  test::expect_error<ArgumentError>(
      [&] {
        ops::join_heads<float>(context, std::array{Stream{view}, Stream{ops::TokenView<float>::all(other)}},
                               4);
      },
      {"[1, 2, 8] behind [1, 2, 12]"});
  const ops::RotaryTable table{Tensor<float>::zeros({3, 2}), Tensor<float>::zeros({3, 2})};
  test::expect_error<ArgumentError>(
      [&] { ops::join_heads<float>(context, std::array{Stream{view}}, 4, &table); }, {"[3, 2]", "2 tokens"});
}

TEST_CASE("axes take turns where heads are turned together", "[ops][heads]") {
  const std::array scale{0.32f, 32.0f, 32.0f}, extents{20.0f, 2048.0f, 2048.0f};
  const auto positions = ops::grid_positions({2, 2, 3}, scale);
  REQUIRE(positions.shape() == Shape{12, 3});
  CHECK(positions.data()[3 * 11] == 0.32f);
  CHECK(positions.data()[3 * 11 + 1] == 32.0f);
  CHECK(positions.data()[3 * 11 + 2] == 64.0f);

  constexpr Index width = 22;  // three frequencies for each axis, and two pairs left over
  const auto table = ops::interleaved_rotary_table(positions, extents, width, 100.0f);
  REQUIRE(table.cosine.shape() == Shape{12, width / 2});
  for (Index token = 0; token < 12; ++token)
    for (Index pair = 0; pair < width / 2; ++pair) {
      double angle = 0.0;
      if (pair >= 2) {
        const Index axis = (pair - 2) % 3;
        const double place = static_cast<double>(positions.data()[token * 3 + axis]) /
                             static_cast<double>(extents[static_cast<std::size_t>(axis)]);
        angle =
            (2.0 * place - 1.0) * std::acos(0.0) * std::pow(100.0, static_cast<double>((pair - 2) / 3) / 2.0);
      }
      CHECK(std::abs(table.cosine.data()[token * (width / 2) + pair] - std::cos(angle)) < 2e-5);
      CHECK(std::abs(table.sine.data()[token * (width / 2) + pair] - std::sin(angle)) < 2e-5);
    }

  test::expect_error<ArgumentError>([&] { ops::interleaved_rotary_table(positions, extents, 7, 100.0f); },
                                    {"7 channels"});
  test::expect_error<ArgumentError>([&] { ops::interleaved_rotary_table(positions, extents, 4, 100.0f); },
                                    {"4 channels", "3 axes"});
  test::expect_error<ArgumentError>(
      [&] {
        ops::interleaved_rotary_table(positions.reshape({18, 2}), extents, width, 100.0f);
      },
      {"[18, 2]"});
  test::expect_error<ArgumentError>([&] { ops::grid_positions({2, 2}, scale); }, {"3 scales", "[2, 2]"});
}

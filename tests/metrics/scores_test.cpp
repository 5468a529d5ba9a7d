#include <cmath>
#include <limits>
#include <random>

#include "daguerre/metrics/clip_score.hpp"
#include "daguerre/metrics/inception_score.hpp"
#include "daguerre/metrics/kernel_distance.hpp"
#include "daguerre/metrics/psnr.hpp"
#include "metrics/permutation.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/random_matrix.hpp"

using namespace daguerre;
using test::expect_error;
using test::random_matrix;
using test::shifted;

namespace {

constexpr double bad_number = std::numeric_limits<double>::quiet_NaN();

Tensor<double> rows_of(Index columns, std::initializer_list<double> values) {
  const auto count = static_cast<Index>(values.size());
  return Tensor<double>::copy_of({count / columns, columns}, {values.begin(), values.size()});
}

double kernel(const Tensor<double>& x, Index i, const Tensor<double>& y, Index j,
              const metrics::PolynomialKernel& k) {
  double dot = 0.0;
  const Index d = x.dim(1);
  for (Index c = 0; c < d; ++c) dot += x.data()[i * d + c] * y.data()[j * d + c];
  return std::pow(k.gamma.value_or(1.0 / static_cast<double>(d)) * dot + k.coefficient, k.degree);
}

double naive_mmd2(const Tensor<double>& x, const Tensor<double>& y, const metrics::PolynomialKernel& k) {
  const Index m = x.dim(0), n = y.dim(0);
  double xx = 0.0, yy = 0.0, xy = 0.0;
  for (Index i = 0; i < m; ++i)
    for (Index j = 0; j < m; ++j) xx += i == j ? 0.0 : kernel(x, i, x, j, k);
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < n; ++j) yy += i == j ? 0.0 : kernel(y, i, y, j, k);
  for (Index i = 0; i < m; ++i)
    for (Index j = 0; j < n; ++j) xy += kernel(x, i, y, j, k);
  const auto pairs = [](Index count) { return static_cast<double>(count * (count - 1)); };
  return xx / pairs(m) + yy / pairs(n) - 2.0 * xy / static_cast<double>(m * n);
}

}  // namespace

TEST_CASE("permutations are NumPy's", "[metrics]") {
  std::mt19937 generator(2020);
  CHECK(metrics::numpy_permutation(generator, 12) ==
        std::vector<Index>{2, 1, 11, 4, 10, 5, 7, 9, 6, 3, 8, 0});
  // RandomState(2020): choice(9, 4, replace=False), then choice(7, 4, replace=False).
  generator.seed(2020);
  auto order = metrics::numpy_permutation(generator, 9);
  CHECK(std::vector<Index>(order.begin(), order.begin() + 4) == std::vector<Index>{2, 4, 7, 1});
  order = metrics::numpy_permutation(generator, 7);
  CHECK(std::vector<Index>(order.begin(), order.begin() + 4) == std::vector<Index>{4, 3, 1, 2});
  generator.seed(7);
  order = metrics::numpy_permutation(generator, 300);
  CHECK(std::vector<Index>(order.begin(), order.begin() + 5) == std::vector<Index>{254, 57, 150, 66, 114});
  CHECK(metrics::numpy_permutation(generator, 0).empty());
  CHECK(metrics::numpy_permutation(generator, 1) == std::vector<Index>{0});
}

TEST_CASE("the Inception Score where it is known", "[metrics]") {
  SECTION("equal rows say nothing: 1") {
    CHECK(metrics::inception_score(Tensor<double>::full({20, 6}, 3.0), {.splits = 4}).mean == Approx(1.0));
  }
  SECTION("sure and evenly spread over K classes: K") {
    auto logits = Tensor<double>::zeros({12, 4});
    for (Index n = 0; n < 12; ++n) logits.data()[n * 4 + n % 4] = 5000.0;
    const auto score = metrics::inception_score(logits, {.splits = 3});
    CHECK(score.mean == Approx(4.0));
    CHECK(score.standard_deviation == Approx(0.0).margin(1e-12));
    CHECK(score.values.size() == 3);
  }
  SECTION("sure ones as probabilities: zeros count as nothing") {
    CHECK(metrics::inception_score_of_probabilities(rows_of(3, {1, 0, 0, 0, 1, 0}), {.splits = 1}).mean ==
          Approx(2.0));
  }
  SECTION("two rows by hand") {
    // p(y) = (0.5, 0.5), each KL = 0.75 log 1.5 + 0.25 log 0.5
    const auto score =
        metrics::inception_score_of_probabilities(rows_of(2, {0.75, 0.25, 0.25, 0.75}), {.splits = 1});
    CHECK(score.mean == Approx(std::exp(0.75 * std::log(1.5) + 0.25 * std::log(0.5))));
  }
  SECTION("a constant added to a row's logits changes nothing") {
    const auto logits = random_matrix(30, 5, 4);
    CHECK(metrics::inception_score(shifted(logits, 700.0)).mean ==
          Approx(metrics::inception_score(logits).mean).epsilon(1e-10));
  }
  SECTION("splits that do not divide the samples, and shuffling") {
    const auto logits = random_matrix(23, 5, 6);
    const auto whole = metrics::inception_score(logits, {.splits = 4});
    for (Index i = 0; i < 4; ++i) {
      const auto part = logits.slice(i * 23 / 4, (i + 1) * 23 / 4);
      CHECK(whole.values[static_cast<std::size_t>(i)] ==
            Approx(metrics::inception_score(part, {.splits = 1}).mean));
    }
    std::mt19937 generator(2020);
    const auto order = metrics::numpy_permutation(generator, 23);
    CHECK(metrics::inception_score(logits, {.splits = 4, .shuffle_seed = 2020}).values ==
          metrics::inception_score(metrics::pick_rows(logits, order), {.splits = 4}).values);
    CHECK(metrics::inception_score(logits, {.splits = 4, .shuffle_seed = 1}).values != whole.values);
  }
}

TEST_CASE("the Inception Score refuses what it cannot judge", "[metrics]") {
  const auto logits = random_matrix(6, 3, 1);
  expect_error<ArgumentError>([&] { metrics::inception_score(logits); }, {"10 splits", "6 samples"});
  expect_error<ArgumentError>([&] { metrics::inception_score(logits, {.splits = 0}); }, {"0 splits"});
  expect_error<ArgumentError>([&] { metrics::inception_score(logits.reshape({6, 3, 1})); }, {"[6, 3, 1]"});
  expect_error<ArgumentError>([&] { metrics::inception_score(Tensor<double>::zeros({4, 0})); }, {"[4, 0]"});
  expect_error<NumericError>(
      [&] {
        metrics::inception_score(rows_of(2, {0, 1, bad_number, 0}));
      },
      {"[1, 0]"});
  const auto judge = [](std::initializer_list<double> row) {
    return [=] { metrics::inception_score_of_probabilities(rows_of(2, row), {.splits = 1}); };
  };
  expect_error<ArgumentError>(judge({0.5, 0.6}), {"sample 0", "1.1"});
  expect_error<ArgumentError>(judge({1.5, -0.5}), {"[0, 1]", "-0.5"});
  expect_error<NumericError>(judge({bad_number, 1}), {"[0, 0]"});
}

TEST_CASE("the kernel distance agrees with its definition", "[metrics]") {
  const auto x = random_matrix(300, 4, 31), y = shifted(random_matrix(17, 4, 32), 0.2);
  for (const auto& k : {metrics::PolynomialKernel{}, metrics::PolynomialKernel{1, 0.3, 0.0},
                        metrics::PolynomialKernel{2, 1.0, 2.0}}) {
    INFO("degree " << k.degree);
    const double mmd2 = metrics::polynomial_mmd2(x, y, k);
    CHECK(mmd2 == Approx(naive_mmd2(x, y, k)).epsilon(1e-10));
    CHECK(metrics::polynomial_mmd2(y, x, k) == Approx(mmd2).epsilon(1e-10));
  }
  SECTION("of a linear kernel it is the square of the means' distance, without bias") {
    // x: 0, 2; y: 3, 5. Means 1 and 4; sums over i != j: 0 and 15; cross mean 4.
    CHECK(metrics::polynomial_mmd2(rows_of(1, {0, 2}), rows_of(1, {3, 5}), {1, 1.0, 0.0}) ==
          Approx(0.0 + 15.0 - 2.0 * 4.0));
  }
  SECTION("between samples of one distribution it is zero on average") {
    std::vector<double> values;
    for (unsigned i = 0; i < 400; ++i)
      values.push_back(
          metrics::polynomial_mmd2(random_matrix(20, 4, 1000 + i), random_matrix(20, 4, 5000 + i)));
    const auto spread = metrics::spread_of(values);
    INFO("mean " << spread.mean << ", deviation " << spread.standard_deviation);
    CHECK(std::abs(spread.mean) < 3.0 * spread.standard_deviation / std::sqrt(400.0));
    CHECK(spread.standard_deviation < 1.0);  // so 3 standard errors are less than the biased estimate's bias
    CHECK(metrics::polynomial_mmd2(x, shifted(x, 1.0)) > 1.0);
  }
}

TEST_CASE("random subsets of the kernel distance", "[metrics]") {
  const auto x = random_matrix(9, 3, 41).to<float>(), y = random_matrix(7, 3, 42).to<float>();
  const auto distance = metrics::kernel_distance(x, y, {.subsets = 5, .subset_size = 4});
  CHECK(distance.values.size() == 5);
  // The subsets that NumPy draws first, see "permutations are NumPy's".
  const std::vector<Index> from_x{2, 4, 7, 1}, from_y{4, 3, 1, 2};
  CHECK(distance.values[0] == Approx(naive_mmd2(metrics::pick_rows(x, from_x).to<double>(),
                                                metrics::pick_rows(y, from_y).to<double>(), {}))
                                  .epsilon(1e-10));
  CHECK(metrics::kernel_distance(x, y, {.subsets = 5, .subset_size = 4}).values == distance.values);
  SECTION("subsets of everything differ by their order only") {
    const auto all = metrics::kernel_distance(y, y, {.subsets = 3, .subset_size = 7});
    CHECK(all.mean == Approx(metrics::polynomial_mmd2(y, y)).epsilon(1e-10));
    CHECK(all.standard_deviation <= 1e-12);
  }
}

TEST_CASE("the kernel distance refuses what it cannot compare", "[metrics]") {
  const auto x = random_matrix(9, 3, 41), y = random_matrix(7, 3, 42);
  using metrics::kernel_distance;
  using metrics::polynomial_mmd2;
  expect_error<ArgumentError>([&] { kernel_distance(x, y, {.subsets = 2, .subset_size = 8}); }, {"8", "7"});
  expect_error<ArgumentError>([&] { kernel_distance(x, y, {.subsets = 0, .subset_size = 4}); },
                              {"0 subsets"});
  expect_error<ArgumentError>([&] { kernel_distance(x, y, {.subsets = 2, .subset_size = 1}); }, {"of 1 "});
  expect_error<ArgumentError>([&] { polynomial_mmd2(x, random_matrix(7, 4, 1)); }, {"3", "4"});
  expect_error<ArgumentError>([&] { polynomial_mmd2(x, y.slice(0, 1)); }, {"[1, 3]", "2 rows"});
  expect_error<ArgumentError>([&] { polynomial_mmd2(x, y, {.degree = 0}); }, {"degree 0"});
  auto bad = y.clone();
  bad.data()[20] = bad_number;
  expect_error<NumericError>([&] { polynomial_mmd2(x, bad); }, {"[6, 2]"});
  expect_error<NumericError>([&] { polynomial_mmd2(x, Tensor<double>::full({2, 3}, 1e150)); }, {"result"});
}

TEST_CASE("CLIP scores", "[metrics]") {
  using metrics::Clamp;
  const auto images = rows_of(2, {3, 4, 1, 0, 2, 2}), texts = rows_of(2, {30, 40, -7, 0, 0, 1e-3});
  const double half = std::sqrt(0.5);
  const auto cosines = metrics::cosine_similarity(images, texts);
  REQUIRE(cosines.size() == 3);
  CHECK(cosines[0] == Approx(1.0));
  CHECK(cosines[1] == Approx(-1.0));
  CHECK(cosines[2] == Approx(half));

  const auto paper = metrics::clip_score(images, texts);
  CHECK(paper.per_pair[1] == 0.0);
  CHECK(paper.mean == Approx(2.5 * (1.0 + half) / 3));
  const auto unclamped = metrics::clip_score(images, texts, {.weight = 100.0, .clamp = Clamp::none});
  CHECK(unclamped.per_pair[1] == Approx(-100.0));
  CHECK(unclamped.mean == Approx(100.0 * half / 3));
  const auto opposite = metrics::clip_score(rows_of(1, {1, 1}), rows_of(1, {-1, -2}), {100.0, Clamp::mean});
  CHECK(opposite.per_pair[0] == Approx(-100.0));
  CHECK(opposite.mean == 0.0);
  CHECK(metrics::cosine_similarity(rows_of(2, {1e200, 1e200}), rows_of(2, {1e-300, 1e-300}))[0] ==
        Approx(1.0));

  expect_error<ArgumentError>([&] { metrics::clip_score(images, images.slice(0, 2)); }, {"[3, 2]", "[2, 2]"});
  expect_error<ArgumentError>(
      [&] {
        metrics::clip_score(images, rows_of(2, {1, 1, 0, 0, 1, 1}));
      },
      {"embedding 1", "zero"});
  expect_error<NumericError>(
      [&] {
        metrics::clip_score(images, rows_of(2, {1, 1, 0, 1, bad_number, 1}));
      },
      {"[2, 0]"});
  expect_error<ArgumentError>([&] { metrics::clip_score(images, texts, {.weight = 0.0}); }, {"weight"});
  expect_error<ArgumentError>([&] { metrics::clip_score(images, texts, {.weight = bad_number}); },
                              {"weight"});
}

TEST_CASE("peak signal-to-noise ratio", "[metrics]") {
  const auto a = Tensor<float>::zeros({3, 2, 2, 1});
  auto b = Tensor<float>::zeros({3, 2, 2, 1});
  b.data()[0] = 0.2f;  // mean squared error 0.01 in the first, 1 in the second, 0 in the third
  for (Index i = 4; i < 8; ++i) b.data()[i] = 1.0f;
  const auto ratio = metrics::psnr(a, b);
  CHECK(ratio[0] == Approx(20.0));
  CHECK(ratio[1] == Approx(0.0).margin(1e-12));
  CHECK(ratio[2] == std::numeric_limits<double>::infinity());
  CHECK(metrics::psnr(b, a) == ratio);
  CHECK(metrics::psnr(a, b, 10.0)[0] == Approx(40.0));

  expect_error<ArgumentError>([&] { metrics::psnr(a, b.reshape({3, 4})); }, {"[3, 2, 2, 1]", "[3, 4]"});
  expect_error<ArgumentError>([&] { metrics::psnr(Tensor<float>(), Tensor<float>()); }, {"[0]"});
  expect_error<ArgumentError>([&] { metrics::psnr(a, b, 0.0); }, {"range"});
  b.data()[3] = std::numeric_limits<float>::quiet_NaN();
  expect_error<NumericError>([&] { metrics::psnr(a, b); }, {"nan"});
}

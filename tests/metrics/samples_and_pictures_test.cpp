// Measures between sets of samples beside the Frechet distance, and between pictures.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "daguerre/metrics/cmmd.hpp"
#include "daguerre/metrics/frechet_distance.hpp"
#include "daguerre/metrics/kernel_distance.hpp"
#include "daguerre/metrics/precision_recall.hpp"
#include "daguerre/metrics/ssim.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/random_matrix.hpp"

using namespace daguerre;
using test::expect_error;
using test::random_matrix;
using test::shifted;

namespace {

double squared_distance(const Tensor<double>& x, Index i, const Tensor<double>& y, Index j) {
  double sum = 0.0;
  const Index d = x.dim(1);
  for (Index c = 0; c < d; ++c) {
    const double difference = x.data()[i * d + c] - y.data()[j * d + c];
    sum += difference * difference;
  }
  return sum;
}

/// To the k-th nearest other one.
double naive_radius(const Tensor<double>& x, Index i, Index k) {
  std::vector<double> distances;
  for (Index j = 0; j < x.dim(0); ++j)
    if (j != i) distances.push_back(squared_distance(x, i, x, j));
  std::sort(distances.begin(), distances.end());
  return std::sqrt(distances[static_cast<std::size_t>(k - 1)]);
}

/// The part of x's rows that lie among y's.
double naive_inside(const Tensor<double>& x, const Tensor<double>& y, Index k) {
  Index count = 0;
  for (Index i = 0; i < x.dim(0); ++i) {
    bool inside = false;
    for (Index j = 0; j < y.dim(0) && !inside; ++j)
      inside = std::sqrt(squared_distance(x, i, y, j)) <= naive_radius(y, j, k);
    count += inside ? 1 : 0;
  }
  return static_cast<double>(count) / static_cast<double>(x.dim(0));
}

Tensor<double> pictures(const Shape& shape, unsigned seed) {
  return random_matrix(1, shape.size(), seed).reshape(shape);
}

}  // namespace

TEST_CASE("precision and recall count who lies among whom", "[metrics]") {
  // More rows than a block has, so that blocks meet.
  const auto made = random_matrix(140, 3, 1), real = shifted(random_matrix(531, 3, 2, 0.8), 0.7);
  const std::array<Index, 3> ks{1, 3, 10};
  const auto found = metrics::precision_recall(made, real, std::span<const Index>(ks));
  REQUIRE(found.size() == ks.size());
  for (std::size_t i = 0; i < ks.size(); ++i) {
    CHECK(found[i].neighbours == ks[i]);
    CHECK(found[i].precision == naive_inside(made, real, ks[i]));
    CHECK(found[i].recall == naive_inside(real, made, ks[i]));
    const auto alone = metrics::precision_recall(made.to<float>(), real.to<float>(), ks[i], Threads(1));
    CHECK(alone.precision == Approx(found[i].precision).margin(0.01));
    const auto swapped = metrics::precision_recall(real, made, ks[i]);
    CHECK(swapped.precision == found[i].recall);
    CHECK(swapped.recall == found[i].precision);
  }
  CHECK(found[0].precision < found[2].precision);
  const auto radii = metrics::neighbour_distances(real, std::span<const Index>(ks), Threads(3));
  REQUIRE(radii.shape() == Shape{3, 531});
  for (const Index row : {0, 127, 128, 530})
    CHECK(radii.data()[531 + row] == Approx(naive_radius(real, row, 3)).epsilon(1e-12));

  SECTION("copies lie at no distance, whatever rounding says") {
    const auto far = shifted(random_matrix(40, 8, 5, 1e-3), 1e4);
    const auto same = metrics::precision_recall(far, far);
    CHECK(same.precision == 1.0);
    CHECK(same.recall == 1.0);
    CHECK(same.f_score() == 1.0);
    const std::array<Index, 1> one{1};
    Tensor<double> twice({80, 8});
    for (Index i = 0; i < twice.size(); ++i) twice.data()[i] = far.data()[i % far.size()];
    const auto radius = metrics::neighbour_distances(twice, std::span<const Index>(one));
    CHECK(std::all_of(radius.span().begin(), radius.span().end(), [](double r) { return r == 0.0; }));
  }
  SECTION("sets apart have nothing in common") {
    const auto apart = metrics::precision_recall(made, shifted(made, 1e3));
    CHECK(apart.precision == 0.0);
    CHECK(apart.f_score() == 0.0);
  }
  SECTION("what cannot be counted") {
    using metrics::precision_recall;
    expect_error<ArgumentError>([&] { precision_recall(made, real, 140); },
                                {"140 neighbours", "140 samples"});
    expect_error<ArgumentError>([&] { precision_recall(made, real, 0); }, {"0 neighbours"});
    expect_error<ArgumentError>([&] { precision_recall(made, random_matrix(9, 4, 1)); }, {"3", "4"});
    expect_error<ArgumentError>([&] { precision_recall(made, real, std::span<const Index>()); },
                                {"no number"});
    auto bad = made.clone();
    bad.data()[7] = std::numeric_limits<double>::quiet_NaN();
    expect_error<NumericError>([&] { precision_recall(bad, real); }, {"[2, 1]"});
  }
}

TEST_CASE("estimators of the mean discrepancy are means over their pairs", "[metrics]") {
  using metrics::MmdEstimator;
  const auto x = random_matrix(300, 5, 11), y = shifted(random_matrix(300, 5, 12), 0.3);
  const double gamma = 1.0 / (2.0 * 1.5 * 1.5);
  const auto mean = [&](const Tensor<double>& a, const Tensor<double>& b, bool skips) {
    double sum = 0.0;
    for (Index i = 0; i < 300; ++i)
      for (Index j = 0; j < 300; ++j)
        sum += skips && i == j ? 0.0 : std::exp(-gamma * squared_distance(a, i, b, j));
    return sum / (300.0 * (skips ? 299.0 : 300.0));
  };
  const auto found = [&](MmdEstimator estimator, int threads) {
    return metrics::gaussian_mmd2(x, y, {.sigma = 1.5}, estimator, Threads(threads));
  };
  const double inside = mean(x, x, true) + mean(y, y, true);
  CHECK(found(MmdEstimator::unbiased, 1) == Approx(inside - 2.0 * mean(x, y, false)).epsilon(1e-10));
  CHECK(found(MmdEstimator::u_statistic, 2) == Approx(inside - 2.0 * mean(x, y, true)).epsilon(1e-10));
  CHECK(found(MmdEstimator::biased, 3) ==
        Approx(mean(x, x, false) + mean(y, y, false) - 2.0 * mean(x, y, false)).epsilon(1e-10));
  CHECK(found(MmdEstimator::biased, 1) == found(MmdEstimator::biased, 3));
  CHECK(metrics::gaussian_mmd2(x, x, {}, MmdEstimator::biased) == Approx(0.0).margin(1e-14));
  expect_error<ArgumentError>(
      [&] { metrics::polynomial_mmd2(x, y.slice(0, 7), {}, MmdEstimator::u_statistic); }, {"300", "7"});
  expect_error<ArgumentError>([&] { metrics::gaussian_mmd2(x, y, {.sigma = 0.0}); }, {"sigma"});

  SECTION("subsets that are given are those that are compared") {
    const std::array<metrics::RowSubsets, 2> subsets{{{{3, 1, 2}, {0, 9}}, {{5, 6}, {7, 8, 299}}}};
    const auto given = metrics::kernel_distance(x, y, std::span<const metrics::RowSubsets>(subsets));
    Tensor<double> three({3, 5});
    for (Index i = 0; i < 3; ++i)
      for (Index c = 0; c < 5; ++c) three.data()[i * 5 + c] = y.data()[std::array{7, 8, 299}[i] * 5 + c];
    CHECK(given.values[1] == Approx(metrics::polynomial_mmd2(x.slice(5, 7), three)).epsilon(1e-12));
    const std::array<metrics::RowSubsets, 1> wrong{{{{3, 300}, {0, 9}}}};
    expect_error<ArgumentError>(
        [&] { metrics::kernel_distance(x, y, std::span<const metrics::RowSubsets>(wrong)); }, {"row 300"});
  }
}

TEST_CASE("CMMD is a thousand times the biased discrepancy", "[metrics]") {
  const auto x = random_matrix(30, 6, 21), y = shifted(random_matrix(25, 6, 22), 2.0);
  const double expected = metrics::gaussian_mmd2(x, y, {.sigma = 10.0}, metrics::MmdEstimator::biased);
  CHECK(metrics::cmmd(x, y) == Approx(1000.0 * expected).epsilon(1e-10));
  CHECK(metrics::cmmd(x, y, {.sigma = 3.0, .scale = 1.0}) > expected);
  CHECK(metrics::cmmd(x, y) == Approx(metrics::cmmd(y, x)).epsilon(1e-12));
  CHECK(std::abs(metrics::cmmd(x, x)) < 1e-9);
  CHECK(metrics::cmmd_in_float32(x.to<float>(), y.to<float>()) == Approx(metrics::cmmd(x, y)).margin(1e-3));
  expect_error<ArgumentError>([&] { metrics::cmmd(x, random_matrix(5, 7, 1)); }, {"6", "7"});
  expect_error<ArgumentError>([&] { metrics::cmmd(x, y, {.sigma = -1.0}); }, {"sigma -1"});
}

TEST_CASE("torch-fidelity's way to the Frechet distance leads there, nearly", "[metrics]") {
  const auto x = shifted(random_matrix(400, 6, 31), 5.0).to<float>();
  const auto y = shifted(random_matrix(300, 6, 32, 1.5), 4.0).to<float>();
  const auto exact =
      metrics::frechet_distance(metrics::FeatureStatistics::of(x), metrics::FeatureStatistics::of(y));
  const auto rounded = metrics::torch_fidelity_frechet_distance(metrics::torch_fidelity_gaussian(x),
                                                                metrics::torch_fidelity_gaussian(y));
  CHECK(rounded == Approx(exact).epsilon(1e-5));
  CHECK(rounded != exact);
  expect_error<ArgumentError>(
      [&] {
        metrics::torch_fidelity_frechet_distance(metrics::torch_fidelity_gaussian(x),
                                                 {Tensor<double>::zeros({2}), Tensor<double>::zeros({2, 2})});
      },
      {"6 and 2"});
}

TEST_CASE("the structural similarity by its formula", "[metrics]") {
  const Shape shape{2, 9, 12, 3};
  const auto a = pictures(shape, 41), b = pictures(shape, 42);
  const metrics::SsimOptions options{.size = 5, .range = 2.0};
  const auto map = metrics::ssim_map(a, b, options);
  // Around one pixel, by hand.
  const Index n = 1, y = 4, x = 6, c = 2;
  double a_sum = 0.0, b_sum = 0.0, aa = 0.0, bb = 0.0, ab = 0.0;
  const auto at = [&](const Tensor<double>& t, Index row, Index column) {
    return t.data()[((n * 9 + row) * 12 + column) * 3 + c];
  };
  for (Index row = y - 2; row <= y + 2; ++row)
    for (Index column = x - 2; column <= x + 2; ++column) {
      const double p = at(a, row, column), q = at(b, row, column);
      a_sum += p, b_sum += q, aa += p * p, bb += q * q, ab += p * q;
    }
  const double ma = a_sum / 25, mb = b_sum / 25, c1 = 0.02 * 0.02, c2 = 0.06 * 0.06;
  const double va = (aa - 25 * ma * ma) / 24, vb = (bb - 25 * mb * mb) / 24, v = (ab - 25 * ma * mb) / 24;
  CHECK(
      at(map, y, x) ==
      Approx((2 * ma * mb + c1) * (2 * v + c2) / ((ma * ma + mb * mb + c1) * (va + vb + c2))).epsilon(1e-10));
  double inner = 0.0;
  for (Index row = 2; row < 7; ++row)
    for (Index column = 2; column < 10; ++column)
      for (Index k = 0; k < 3; ++k) inner += map.data()[((9 + row) * 12 + column) * 3 + k];
  CHECK(metrics::ssim(a, b, options)[1] == Approx(inner / (5 * 8 * 3)).epsilon(1e-12));
  CHECK(metrics::ssim(a, a)[0] == Approx(1.0));
  CHECK(metrics::ssim(b, a, options)[1] == Approx(metrics::ssim(a, b, options)[1]).epsilon(1e-12));
  CHECK(metrics::ssim(a.to<float>(), a.to<float>(), options)[1] == Approx(1.0));

  expect_error<ArgumentError>([&] { metrics::ssim(a, b, metrics::SsimOptions::wang()); },
                              {"12 x 9", "11 x 11"});
  expect_error<ArgumentError>([&] { metrics::ssim(a, b.slice(0, 1)); }, {"[2, 9, 12, 3]", "[1, 9, 12, 3]"});
  expect_error<ArgumentError>([&] { metrics::ssim(a, b, {.size = 6}); }, {"6 pixels"});
  expect_error<ArgumentError>([&] { metrics::ssim(a, b, {.range = 0.0}); }, {"range"});
  expect_error<ArgumentError>(
      [&] { metrics::ssim(a, b, {.window = metrics::SsimWindow::gaussian, .sigma = 0.0}); }, {"sigma"});
}

#include "daguerre/metrics/frechet_distance.hpp"

#include <cmath>
#include <limits>

#include <Eigen/Eigenvalues>
#include <Eigen/QR>
#include <Eigen/SVD>

#include "daguerre/core/eigen.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/random_matrix.hpp"

using namespace daguerre;
using metrics::FeatureStatistics;
using metrics::frechet_distance;
using metrics::Gaussian;
using test::random_matrix;
using test::shifted;

namespace {

/// A distribution of `rank` independent directions in D dimensions.
Gaussian random_gaussian(Index d, Index rank, unsigned seed) {
  const auto root = random_matrix(d, rank, seed);
  Gaussian result{random_matrix(1, d, seed + 1).reshape({d}), Tensor<double>({d, d})};
  matrix(result.covariance) = matrix(root) * matrix(root).transpose();
  return result;
}

/// The formula by its letters: eigenvalues of the unsymmetric product.
double naive_distance(const Gaussian& a, const Gaussian& b) {
  const Eigen::MatrixXd product = matrix(a.covariance) * matrix(b.covariance);
  const double root_trace =
      Eigen::EigenSolver<Eigen::MatrixXd>(product, false).eigenvalues().cwiseSqrt().real().sum();
  return (array(a.mean) - array(b.mean)).square().sum() + matrix(a.covariance).trace() +
         matrix(b.covariance).trace() - 2.0 * root_trace;
}

Gaussian diagonal(std::initializer_list<double> mean, std::initializer_list<double> variances) {
  const auto d = static_cast<Index>(mean.size());
  Gaussian result{Tensor<double>::copy_of({d}, {mean.begin(), mean.size()}), Tensor<double>::zeros({d, d})};
  Index i = 0;
  for (const double variance : variances) result.covariance.data()[(d + 1) * i++] = variance;
  return result;
}

double interval_coverage(unsigned first_seed, int trials, Index count) {
  // The truth is what samples of this number give on average, over many more draws than are tested.
  const Index d = 4;
  const auto reference = FeatureStatistics::of(random_matrix(20000, d, 99)).gaussian();
  const auto draw = [&](unsigned seed) { return shifted(random_matrix(count, d, seed, 1.2), 0.3); };
  double truth = 0.0;
  const int draws = 400;
  for (int i = 0; i < draws; ++i)
    truth += frechet_distance(FeatureStatistics::of(draw(50000 + static_cast<unsigned>(i))).gaussian(),
                              reference) /
             draws;
  int covered = 0;
  for (int i = 0; i < trials; ++i) {
    const auto estimate = metrics::estimate_frechet_distance(draw(first_seed + static_cast<unsigned>(i)),
                                                             reference, {.groups = 25});
    covered += estimate.low <= truth && truth <= estimate.high ? 1 : 0;
  }
  return static_cast<double>(covered) / trials;
}

}  // namespace

TEST_CASE("the Fréchet distance agrees with the formula by its letters", "[metrics]") {
  const auto seed = GENERATE(1u, 2u, 3u, 4u);
  INFO("seed " << seed);
  const Index d = 3 + 5 * static_cast<Index>(seed);
  const auto a = random_gaussian(d, 2 * d, 10 * seed), b = random_gaussian(d, 2 * d, 10 * seed + 5);
  const double distance = frechet_distance(a, b);
  CHECK(distance == Approx(naive_distance(a, b)).epsilon(1e-11));
  CHECK(frechet_distance(b, a) == Approx(distance).epsilon(1e-12));
}

TEST_CASE("Fréchet distances with a closed form", "[metrics]") {
  SECTION("equal distributions") {
    const auto a = random_gaussian(20, 40, 3);
    CHECK(frechet_distance(a, a) <= 1e-12);
    CHECK(frechet_distance(a, a) >= 0.0);
  }
  SECTION("in one dimension: (m1 - m2)^2 + (s1 - s2)^2") {
    CHECK(frechet_distance(diagonal({1.0}, {4.0}), diagonal({3.5}, {9.0})) == Approx(6.25 + 1.0));
  }
  SECTION("independent features add up") {
    const auto a = diagonal({0, 1, 2}, {1, 4, 9}), b = diagonal({1, 1, 4}, {16, 4, 0.25});
    CHECK(frechet_distance(a, b) == Approx(1 + 4 + 9 + 6.25));
  }
  SECTION("a shift adds its square and nothing else") {
    auto a = random_gaussian(12, 30, 8);
    const auto b = random_gaussian(12, 30, 9);
    const auto moved = Gaussian{shifted(a.mean, 2.0), a.covariance};
    CHECK(frechet_distance(a, moved) == Approx(12 * 4.0));
    CHECK(frechet_distance(moved, Gaussian{shifted(b.mean, 2.0), b.covariance}) ==
          Approx(frechet_distance(a, b)).epsilon(1e-12));
  }
  SECTION("scaled samples: sum of (s - 1)^2 variance") {
    const auto x = random_matrix(60, 6, 4);
    auto scaled = x.clone();
    for (double& value : scaled.span()) value *= 3.0;
    const auto a = FeatureStatistics::of(x), b = FeatureStatistics::of(scaled);
    const auto gaussian = a.gaussian();
    CHECK(frechet_distance(a, b) ==
          Approx(4.0 * array(gaussian.mean).square().sum() + 4.0 * matrix(gaussian.covariance).trace()));
  }
}

TEST_CASE("singular covariances are no obstacle to the Fréchet distance", "[metrics]") {
  SECTION("ranks 3 and 5 of 16: equal to the distance inside the spanned space") {
    // Both live in the first 8 of 16 dimensions; a rotation hides that.
    const Index d = 16, inner = 8;
    const auto a = random_gaussian(inner, 3, 21), b = random_gaussian(inner, 5, 22);
    const auto basis = random_matrix(d, inner, 23);
    const Eigen::MatrixXd q = Eigen::HouseholderQR<Eigen::MatrixXd>(matrix(basis)).householderQ() *
                              Eigen::MatrixXd::Identity(d, inner);
    const auto embed = [&](const Gaussian& g) {
      Gaussian result{Tensor<double>({d}), Tensor<double>({d, d})};
      array(result.mean) = (q * array(g.mean).matrix()).array();
      matrix(result.covariance) = q * matrix(g.covariance) * q.transpose();
      return result;
    };
    // The eigenvalues of a singular product are found to 1e-16, their roots to 1e-8.
    CHECK(frechet_distance(a, b) == Approx(naive_distance(a, b)).epsilon(1e-7));
    CHECK(frechet_distance(embed(a), embed(b)) == Approx(frechet_distance(a, b)).epsilon(1e-12));
    CHECK(frechet_distance(embed(a), embed(a)) <= 1e-12);
  }
  SECTION("orthogonal supports: the traces add up") {
    CHECK(frechet_distance(diagonal({0, 0}, {4, 0}), diagonal({0, 0}, {0, 9})) == Approx(13.0));
  }
  SECTION("nearly singular: equal to what the centred samples give without any covariance") {
    // tr (C_a C_b)^(1/2) is the sum of the singular values of X Y^T / sqrt((M - 1) (N - 1)).
    auto x = random_matrix(40, 12, 31), y = random_matrix(30, 12, 32);
    for (auto* samples : {&x, &y})
      for (Index i = 0; i < samples->size(); ++i)
        samples->data()[i] *= std::pow(10.0, -0.5 * static_cast<double>(i % 12));
    const auto mixing = random_matrix(12, 12, 33);
    const Eigen::MatrixXd a = matrix(x) * matrix(mixing), b = matrix(y) * matrix(mixing);
    const auto centred = [](const Eigen::MatrixXd& m) -> Eigen::MatrixXd {
      return (m.rowwise() - m.colwise().mean()) / std::sqrt(static_cast<double>(m.rows() - 1));
    };
    const Eigen::MatrixXd p = centred(a), q = centred(b);
    const double expected = (a.colwise().mean() - b.colwise().mean()).squaredNorm() + p.squaredNorm() +
                            q.squaredNorm() -
                            2.0 * Eigen::JacobiSVD<Eigen::MatrixXd>(p * q.transpose()).singularValues().sum();
    Tensor<double> mixed_x({40, 12}), mixed_y({30, 12});
    matrix(mixed_x) = a;
    matrix(mixed_y) = b;
    CHECK(frechet_distance(FeatureStatistics::of(mixed_x), FeatureStatistics::of(mixed_y)) ==
          Approx(expected).epsilon(1e-10));
  }
  SECTION("points") {
    CHECK(frechet_distance(diagonal({0, 0}, {0, 0}), diagonal({3, 4}, {0, 0})) == Approx(25.0));
    CHECK(frechet_distance(diagonal({0, 0}, {0, 0}), diagonal({3, 4}, {1, 2})) == Approx(28.0));
  }
}

TEST_CASE("the Fréchet distance refuses what is no distribution", "[metrics]") {
  using test::expect_error;
  const auto good = diagonal({0, 0}, {1, 1});
  const auto with = [&](double a, double b, double c, double e) {
    return Gaussian{good.mean, Tensor<double>::copy_of({2, 2}, std::vector<double>{a, b, c, e})};
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  expect_error<ArgumentError>([&] { frechet_distance(good, diagonal({0, 0, 0}, {1, 1, 1})); }, {"2", "3"});
  expect_error<ArgumentError>(
      [&] {
        frechet_distance(good, Gaussian{good.mean, Tensor<double>::zeros({2, 3})});
      },
      {"[2, 3]"});
  expect_error<ArgumentError>([&] { frechet_distance(good, Gaussian{}); }, {"[0]"});
  expect_error<ArgumentError>([&] { frechet_distance(good, with(1, 0.5, 0, 1)); }, {"symmetric"});
  expect_error<ArgumentError>([&] { frechet_distance(good, with(1, 2, 2, 1)); }, {"semidefinite", "-1.0"});
  expect_error<ArgumentError>([&] { frechet_distance(with(-1, 0, 0, -2), good); }, {"semidefinite"});
  expect_error<NumericError>([&] { frechet_distance(good, with(1, 0, 0, nan)); }, {"[1, 1]", "nan"});
  expect_error<NumericError>([&] { frechet_distance(diagonal({0, nan}, {1, 1}), good); }, {"mean [0, 1]"});
  expect_error<NumericError>([&] { frechet_distance(diagonal({1e200, 0}, {1, 1}), good); }, {"inf"});
  expect_error<ArgumentError>([] { frechet_distance(FeatureStatistics(2), FeatureStatistics(2)); },
                              {"2 samples"});
}

TEST_CASE("the jackknife's figures are those of its definition", "[metrics]") {
  const Index groups = 12;
  const auto x = random_matrix(36, 3, 77);
  const auto reference = random_gaussian(3, 9, 78);
  const auto estimate = metrics::estimate_frechet_distance(x, reference, {.groups = groups, .seed = 5});
  CHECK(estimate.value == Approx(frechet_distance(FeatureStatistics::of(x).gaussian(), reference)));
  // t_{0.975, 11} = 2.201
  CHECK(estimate.high - estimate.value == Approx(2.201 * estimate.standard_error).epsilon(1e-3));
  CHECK(estimate.low == Approx(std::max(0.0, 2 * estimate.value - estimate.high)));

  SECTION("the same seed gives the same, another seed other groups") {
    const auto again = metrics::estimate_frechet_distance(x, reference, {.groups = groups, .seed = 5});
    CHECK(again.standard_error == estimate.standard_error);
    const auto other = metrics::estimate_frechet_distance(x, reference, {.groups = groups, .seed = 6});
    CHECK(other.standard_error != estimate.standard_error);
    CHECK(other.value == estimate.value);
  }
  SECTION("with a group for each sample, against leaving each one out") {
    std::vector<double> without;
    double mean = 0.0, squares = 0.0;
    for (Index i = 0; i < 36; ++i) {
      FeatureStatistics rest(3);
      if (i > 0) rest.add(x.slice(0, i));
      if (i < 35) rest.add(x.slice(i + 1, 36));
      without.push_back(frechet_distance(rest.gaussian(), reference));
      mean += without.back() / 36;
    }
    for (const double distance : without) squares += (distance - mean) * (distance - mean);
    const auto each = metrics::estimate_frechet_distance(x, reference, {.groups = 36});
    CHECK(each.standard_error == Approx(std::sqrt(35.0 / 36.0 * squares)).epsilon(1e-9));
    CHECK(each.bias_corrected == Approx(36 * each.value - 35 * mean).epsilon(1e-9));
  }
}

TEST_CASE("the jackknife's interval covers and its correction takes the bias away", "[metrics]") {
  // Of 200 intervals at 95 % between 180 and 199 cover with a probability beyond 0.998.
  const double coverage = interval_coverage(1000, 200, 100);
  INFO("coverage " << coverage);
  CHECK(coverage >= 0.90);
  CHECK(coverage <= 0.995);

  // Samples of the reference itself: the true distance is 0.
  const auto reference = diagonal({0, 0, 0, 0, 0}, {1, 1, 1, 1, 1});
  double value = 0.0, corrected = 0.0;
  for (unsigned i = 0; i < 40; ++i) {
    const auto estimate =
        metrics::estimate_frechet_distance(random_matrix(200, 5, 300 + i), reference, {.groups = 20});
    value += estimate.value / 40;
    corrected += estimate.bias_corrected / 40;
  }
  INFO("mean " << value << ", corrected " << corrected);
  CHECK(value > 0.03);
  CHECK(std::abs(corrected) < 0.2 * value);
}

TEST_CASE("the jackknife refuses too few samples", "[metrics]") {
  const auto reference = diagonal({0, 0}, {1, 1});
  const auto estimate = [&](Index count, Index groups) {
    return [=] {
      metrics::estimate_frechet_distance(random_matrix(count, 2, 1), reference, {.groups = groups});
    };
  };
  test::expect_error<ArgumentError>(estimate(30, 50), {"50 groups", "30 samples"});
  test::expect_error<ArgumentError>(estimate(30, 9), {"9 groups", "10"});
  test::expect_error<ArgumentError>(estimate(0, 10), {"[0, 2]"});
  auto bad = Tensor<float>::zeros({20, 2});
  bad.data()[7] = std::numeric_limits<float>::infinity();
  test::expect_error<NumericError>(
      [&] { metrics::estimate_frechet_distance(bad, reference, {.groups = 10}); }, {"[3, 1]"});
}

#include "daguerre/metrics/feature_statistics.hpp"

#include <limits>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/golden.hpp"
#include "support/random_matrix.hpp"

using namespace daguerre;
using metrics::FeatureStatistics;
using metrics::Gaussian;

namespace {

/// Mean and covariance by their definitions, in long double.
Gaussian naive(const Tensor<double>& x) {
  const Index n = x.dim(0), d = x.dim(1);
  Gaussian result{Tensor<double>({d}), Tensor<double>({d, d})};
  std::vector<long double> mean(static_cast<std::size_t>(d), 0.0L);
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < d; ++j) mean[static_cast<std::size_t>(j)] += x.data()[i * d + j] / (1.0L * n);
  for (Index j = 0; j < d; ++j) {
    result.mean.data()[j] = static_cast<double>(mean[static_cast<std::size_t>(j)]);
    for (Index k = 0; k < d; ++k) {
      long double sum = 0.0L;
      for (Index i = 0; i < n; ++i)
        sum += (x.data()[i * d + j] - mean[static_cast<std::size_t>(j)]) *
               (x.data()[i * d + k] - mean[static_cast<std::size_t>(k)]);
      result.covariance.data()[j * d + k] = static_cast<double>(sum / (1.0L * (n - 1)));
    }
  }
  return result;
}

void check_equal(const FeatureStatistics& actual, const Gaussian& expected, double bound = 1e-13) {
  const auto gaussian = actual.gaussian();
  CHECK(test::difference(gaussian.mean, expected.mean).rel_l2 <= bound);
  CHECK(test::difference(gaussian.covariance, expected.covariance).rel_l2 <= bound);
}

}  // namespace

TEST_CASE("mean and covariance are those of their definitions", "[metrics]") {
  const auto x = test::random_matrix(2500, 7, 11);  // more than one piece
  const auto expected = naive(x);
  SECTION("in one batch") {
    check_equal(FeatureStatistics::of(x), expected);
  }
  SECTION("in batches, one of them a single sample and one empty of news") {
    FeatureStatistics statistics(7);
    statistics.add(x.slice(0, 1));
    statistics.add(x.slice(1, 60));
    statistics.merge(FeatureStatistics(7));
    statistics.add(x.slice(60, 2500));
    CHECK(statistics.count() == 2500);
    check_equal(statistics, expected);
  }
  SECTION("merged from parts gathered apart") {
    auto statistics = FeatureStatistics::of(x.slice(900, 2500));
    statistics.merge(FeatureStatistics::of(x.slice(0, 900)));
    check_equal(statistics, expected);
  }
  SECTION("from float32, which is exact in double") {
    const auto rounded = x.to<float>();
    check_equal(FeatureStatistics::of(rounded), naive(rounded.to<double>()));
  }
}

TEST_CASE("features far from zero lose no digits in their covariance", "[metrics]") {
  // Near 2^20 an element keeps 32 of its 52 bits; a sum of squares would keep none of the variance's.
  auto x = test::random_matrix(400, 3, 5, 1e-3);
  for (double& value : x.span()) value = static_cast<double>(1 << 20) + value;
  check_equal(FeatureStatistics::of(x), naive(x), 1e-12);
}

TEST_CASE("removing samples undoes adding them", "[metrics]") {
  const auto x = test::random_matrix(300, 5, 3);
  auto statistics = FeatureStatistics::of(x);
  statistics.remove(FeatureStatistics::of(x.slice(0, 40)));
  CHECK(statistics.count() == 260);
  check_equal(statistics, naive(x.slice(40, 300)), 1e-12);
  const auto rest = statistics;
  statistics.remove(rest);
  CHECK(statistics.count() == 0);
  statistics.add(x);
  check_equal(statistics, naive(x));
  CHECK(rest.count() == 260);  // a copy of its own
}

TEST_CASE("statistics refuse what they cannot hold", "[metrics]") {
  using test::expect_error;
  FeatureStatistics statistics(3);
  expect_error<ArgumentError>([] { FeatureStatistics(0); }, {"FeatureStatistics", "0"});
  expect_error<ArgumentError>([] { FeatureStatistics(Index{1} << 40); }, {"overflow"});
  expect_error<ArgumentError>([&] { statistics.add(Tensor<float>::zeros({4, 2})); }, {"[4, 2]", "[N, 3]"});
  expect_error<ArgumentError>([&] { statistics.add(Tensor<float>::zeros({4, 3, 1})); }, {"[4, 3, 1]"});
  expect_error<ArgumentError>([&] { statistics.add(Tensor<float>::zeros({0, 3})); }, {"[0, 3]"});
  expect_error<ArgumentError>([] { FeatureStatistics::of(Tensor<float>::zeros({3})); }, {"0"});
  expect_error<ArgumentError>([&] { statistics.merge(FeatureStatistics(4)); }, {"4", "3"});
  expect_error<ArgumentError>([&] { statistics.gaussian(); }, {"2 samples", "0"});
  statistics.add(Tensor<float>::zeros({1, 3}));
  expect_error<ArgumentError>([&] { statistics.gaussian(); }, {"2 samples", "1"});
  expect_error<ArgumentError>(
      [&] {
        statistics.remove(FeatureStatistics::of(Tensor<float>::zeros({2, 3})));
      },
      {"2 samples", "1"});
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    auto features = Tensor<float>::zeros({2, 3});
    features.data()[5] = bad;
    expect_error<NumericError>([&] { statistics.add(features); }, {"[1, 2]"});
    CHECK(statistics.count() == 1);
  }
}

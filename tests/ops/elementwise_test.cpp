#include "daguerre/ops/elementwise.hpp"

#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "daguerre/ops/channel_distance.hpp"
#include "daguerre/ops/embedding.hpp"
#include "daguerre/ops/host_values.hpp"
#include "daguerre/ops/reduce.hpp"
#include "daguerre/ops/space_time.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;
using namespace daguerre::test;

namespace {

bool same(const Tensor<float>& a, const Tensor<float>& b) {
  return a.shape() == b.shape() && std::equal(a.span().begin(), a.span().end(), b.span().begin());
}

/// `of(i)` for every element.
template <class F>
Tensor<float> made(const Shape& shape, const F& of) {
  Tensor<float> result(shape);
  for (Index i = 0; i < result.size(); ++i) result.data()[i] = of(i);
  return result;
}

/// Long enough to be divided among threads, in pieces that end within a row.
const Shape long_shape{3, 113, 157};

}  // namespace

TEST_CASE("arithmetic element by element is what its formula says", "[ops][elementwise]") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  const auto context = context_for("native");
  const auto a = random_tensor(long_shape, seed), b = random_tensor(long_shape, seed + 1),
             c = random_tensor(long_shape, seed + 2), row = random_tensor({113, 157}, seed + 3);
  const auto *x = a.data(), *y = b.data(), *z = c.data();
  CHECK(same(ops::affine(context, a, 2.5f, -1.0f),
             made(long_shape, [&](Index i) { return x[i] * 2.5f + -1.0f; })));
  CHECK(same(ops::clamp(context, a, -0.5f, 0.25f),
             made(long_shape, [&](Index i) { return std::min(std::max(x[i], -0.5f), 0.25f); })));
  CHECK(same(ops::exponential(context, a, 0.5f),
             made(long_shape, [&](Index i) { return std::exp(0.5f * x[i]); })));
  CHECK(same(ops::multiply_add(context, a, b, c),
             made(long_shape, [&](Index i) { return x[i] + y[i] * z[i]; })));
  CHECK(same(ops::add_to_each(context, a, row),
             made(long_shape, [&](Index i) { return x[i] + row.data()[i % row.size()]; })));
  const auto rows = random_tensor({3, 157}, seed + 4);
  CHECK(same(ops::add_rows(context, a, rows),
             made(long_shape, [&](Index i) { return x[i] + rows.data()[i / (113 * 157) * 157 + i % 157]; })));
  const auto sum = [&](Index i) { return 0.25f * x[i] + -2.0f * y[i]; };
  CHECK(same(ops::weighted_sum(context, a, 0.25f, b, -2.0f), made(long_shape, sum)));
  CHECK(same(ops::weighted_sum(context, a, 0.25f, b.clone(), -2.0f), made(long_shape, sum)));
  CHECK(same(ops::full(context, {4, 5}, 1.5f), Tensor<float>::full({4, 5}, 1.5f)));
  const std::vector<float> divisors{3.0f, 0.7f, 11.0f}, one{7.0f};
  CHECK(same(ops::divide_each(context, a, divisors), made(long_shape, [&](Index i) {
               return x[i] / divisors[static_cast<std::size_t>(i / row.size())];
             })));
  CHECK(same(ops::divide_each(context, a, one), made(long_shape, [&](Index i) { return x[i] / 7.0f; })));
}

TEST_CASE("a mask becomes the bias of an attention", "[ops][elementwise]") {
  const auto context = context_for("native");
  const auto mask = Tensor<float>::copy_of({1, 3}, std::array{1.0f, 0.0f, 1.0f});
  for (const float far : {10000.0f, 1e30f})
    CHECK(same(ops::affine(context, mask, far, -far),
               Tensor<float>::copy_of({1, 3}, std::array{0.0f, -far, 0.0f})));
}

TEST_CASE("clamp keeps what is not a number", "[ops][elementwise]") {
  const auto context = context_for("native");
  const auto nan = Tensor<float>::full({2}, std::numeric_limits<float>::quiet_NaN());
  CHECK(std::isnan(ops::clamp(context, nan, -1.0f, 1.0f).data()[1]));
}

TEST_CASE("elements of other shapes are refused", "[ops][elementwise]") {
  const auto context = context_for("native");
  const auto x = random_tensor({2, 3}, 1), other = random_tensor({3, 2}, 1);
  const std::array three{1.0f, 2.0f, 3.0f};
  expect_error<ArgumentError>([&] { ops::add_to_each(context, x, other); }, {"[add_to_each]", "[3, 2]"});
  expect_error<ArgumentError>([&] { ops::add_rows(context, x, other); }, {"[add_rows]", "[3, 2]"});
  expect_error<ArgumentError>([&] { ops::weighted_sum(context, x, 1.0f, other, 1.0f); }, {"[weighted_sum]"});
  expect_error<ArgumentError>([&] { ops::divide_each(context, x, three); }, {"[divide_each]", "3 divisors"});
  expect_error<ArgumentError>([&] { ops::multiply_add(context, x, x, other); }, {"[multiply_add]"});
  expect_error<ArgumentError>([&] { ops::multiply_add(context, other, x, x); }, {"[multiply_add]"});
  expect_error<ArgumentError>([&] { ops::clamp(context, x, 1.0f, -1.0f); }, {"[clamp]"});
}

TEST_CASE("a mean is taken over any axis, in double", "[ops][reduce]") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  const auto context = context_for("native");
  const auto x = random_tensor({3, 7, 5}, seed, 100.0f);
  const Index strides[] = {35, 5, 1}, extents[] = {3, 7, 5};
  for (int axis = 0; axis < 3; ++axis) {
    std::vector<Index> left(std::begin(extents), std::end(extents));
    left.erase(left.begin() + axis);
    const auto expected = made(Shape(std::span<const Index>(left)), [&](Index i) {
      const Index outer = i / strides[axis], inner = i % strides[axis];
      double sum = 0.0;
      for (Index k = 0; k < extents[axis]; ++k)
        sum += x.data()[(outer * extents[axis] + k) * strides[axis] + inner];
      return static_cast<float>(sum / static_cast<double>(extents[axis]));
    });
    CHECK(same(ops::mean(context, x, axis), expected));
    CHECK(same(ops::mean(context, x, axis - 3), expected));
  }
  expect_error<ArgumentError>([&] { ops::mean(context, x, 3); }, {"[mean]", "axis 3"});
  expect_error<ArgumentError>([&] { ops::mean(context, Tensor<float>({2, 0}), 1); }, {"[mean]", "empty"});
}

TEST_CASE("the nearest row is found, the first of several", "[ops][reduce]") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  const auto context = context_for("native");
  auto table = random_tensor({40, 3}, seed);
  std::copy_n(table.data() + 3 * 5, 3, table.data() + 3 * 9);  // row 9 is row 5
  auto x = random_tensor({2, 10, 3}, seed + 1);
  std::copy_n(table.data() + 3 * 9, 3, x.data());
  const auto found = ops::nearest_rows(context, table, x);
  REQUIRE(found.shape() == Shape{2, 10});
  CHECK(found.data()[0] == 5);
  for (Index i = 0; i < found.size(); ++i) {
    const auto distance = [&](Index row) {
      double sum = 0.0;
      for (Index c = 0; c < 3; ++c)
        sum += std::pow(static_cast<double>(x.data()[i * 3 + c]) - table.data()[row * 3 + c], 2.0);
      return sum;
    };
    for (Index row = 0; row < 40; ++row) CHECK(distance(found.data()[i]) <= distance(row));
  }
  expect_error<ArgumentError>(
      [&] {
        ops::nearest_rows(context, table, random_tensor({2, 4}, 1));
      },
      {"[nearest_rows]", "[2, 4]"});
  expect_error<ArgumentError>(
      [&] {
        ops::nearest_rows(context, Tensor<float>({0, 3}), x);
      },
      {"[nearest_rows]"});
}

TEST_CASE("a Fourier embedding holds sines and cosines of its frequencies", "[ops][embedding]") {
  const auto context = context_for("native");
  const auto frequencies = random_tensor({6}, 3);
  const std::array times{0.25f, -1.5f};
  const auto sines = ops::fourier_embedding(context, times, frequencies, false);
  const auto cosines = ops::fourier_embedding(context, times, frequencies, true);
  REQUIRE(sines.shape() == Shape{2, 12});
  for (std::size_t n = 0; n < 2; ++n)
    for (Index i = 0; i < 6; ++i) {
      const double angle = 2.0 * std::acos(-1.0) * times[n] * frequencies.data()[i];
      const float *row = sines.data() + n * 12, *flipped = cosines.data() + n * 12;
      CHECK(row[i] == Approx(std::sin(angle)).margin(1e-5));
      CHECK(row[6 + i] == Approx(std::cos(angle)).margin(1e-5));
      CHECK(flipped[i] == row[6 + i]);
      CHECK(flipped[6 + i] == row[i]);
    }
  expect_error<ArgumentError>(
      [&] {
        ops::fourier_embedding(context, times, frequencies.reshape({2, 3}), false);
      },
      {"[2, 3]"});
}

TEST_CASE("what the host gave is read as it is", "[ops]") {
  const std::array<std::int32_t, 3> ids{-1, 0, 49407};
  const auto floats = ops::host_floats(ids);
  CHECK(same(floats, Tensor<float>::copy_of({3}, std::array{-1.0f, 0.0f, 49407.0f})));
  CHECK(ops::host_values(floats).data() == floats.data());
  CHECK(ops::same_values(floats, floats.clone()));
  CHECK_FALSE(ops::same_values(floats, floats.reshape({3, 1})));
  CHECK_FALSE(ops::same_values(floats, Tensor<float>::zeros({3})));
}

TEST_CASE("a plane is added to every frame, to each channel as much as is said", "[ops]") {
  const auto context = context_for("native");
  const auto x = random_tensor({2, 3, 2, 4, 5}, 1), plane = random_tensor({2, 4}, 2),
             scale = random_tensor({5}, 3);
  const auto y = ops::add_plane(context, x, plane, scale);
  for (Index i = 0; i < x.size(); ++i)
    CHECK(y.data()[i] == Approx(x.data()[i] + plane.data()[i / 5 % 8] * scale.data()[i % 5]).margin(1e-6));
  expect_error<ArgumentError>([&] { ops::add_plane(context, x, plane.reshape({4, 2}), scale); }, {"[4, 2]"});
  expect_error<ArgumentError>([&] { ops::add_plane(context, x, plane, plane); }, {"scales [2, 4]"});
}

TEST_CASE("channels are standardised, and directions compared, as the formulas say", "[ops]") {
  const auto context = context_for("native");
  const auto a = random_tensor({2, 7, 5, 6}, 1), b = random_tensor({2, 7, 5, 6}, 2);
  const auto mean = random_tensor({6}, 3), deviation = random_tensor({6}, 4);
  const auto even = ops::standardise(context, a, mean, deviation);
  for (Index i = 0; i < a.size(); ++i)
    CHECK(even.data()[i] == (a.data()[i] - mean.data()[i % 6]) / deviation.data()[i % 6]);
  const auto apart = ops::direction_distance(context, a, b, mean);
  REQUIRE(apart.shape() == Shape{2, 7, 5, 1});
  for (Index pixel = 0; pixel < apart.size(); ++pixel) {
    double lengths[2] = {0.0, 0.0}, sum = 0.0;
    for (Index c = 0; c < 6; ++c) {
      lengths[0] += std::pow(double{a.data()[pixel * 6 + c]}, 2);
      lengths[1] += std::pow(double{b.data()[pixel * 6 + c]}, 2);
    }
    for (Index c = 0; c < 6; ++c)
      sum += double{mean.data()[c]} * std::pow(double{a.data()[pixel * 6 + c]} / std::sqrt(lengths[0]) -
                                                   double{b.data()[pixel * 6 + c]} / std::sqrt(lengths[1]),
                                               2);
    CHECK(double{apart.data()[pixel]} == Approx(sum).epsilon(1e-6).margin(1e-9));
  }
  // Features that are all zero have no direction, and no distance to each other.
  const auto nothing = Tensor<float>::zeros({1, 2, 2, 6});
  const auto none = ops::direction_distance(context, nothing, nothing, mean);
  CHECK(std::all_of(none.span().begin(), none.span().end(), [](float value) { return value == 0.0f; }));
  expect_error<ArgumentError>([&] { ops::standardise(context, a, mean, random_tensor({5}, 1)); }, {"[5]"});
  expect_error<ArgumentError>([&] { ops::direction_distance(context, a, nothing, mean); }, {"[1, 2, 2, 6]"});
}

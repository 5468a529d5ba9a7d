#include "daguerre/core/tensor.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstddef>
#include <limits>
#include <memory>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "daguerre/core/eigen.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace daguerre;
using daguerre::test::expect_error;

TEST_CASE("shapes check their extents", "[tensor]") {
  const Shape shape{2, 3, 4};
  CHECK(shape.rank() == 3);
  CHECK(shape.size() == 24);
  CHECK(shape[-1] == 4);
  CHECK(shape.tail() == Shape{3, 4});
  CHECK(shape.with(-1, 5) == Shape{2, 3, 5});
  CHECK(to_string(shape) == "[2, 3, 4]");
  CHECK(Shape{}.size() == 1);
  CHECK_FALSE(Shape{2} == Shape{2, 1});
  expect_error<ArgumentError>([&] { shape[3]; }, {"axis 3", "[2, 3, 4]"});
  expect_error<ArgumentError>([] { Shape{2, -1}; }, {"-1"});
  const Index large = Index{1} << 32;
  expect_error<ArgumentError>([&] { Shape({large, large}); }, {"overflows"});
  // Zero hides an overflow only when it comes first: what follows it is never multiplied.
  CHECK(Shape({0, large, large}).size() == 0);
}

TEST_CASE("tensors share their elements until one is written to", "[tensor]") {
  auto tensor = Tensor<float>::zeros({4, 2});
  tensor.data()[2] = 5.0f;
  const Tensor<float> seen = tensor;  // the elements that it has now
  CHECK(std::as_const(tensor).data() == seen.data());
  CHECK_FALSE(seen.is_unique());
  CHECK(tensor[1].shape() == Shape{2});
  CHECK(tensor[1].data()[0] == 5.0f);
  CHECK(tensor.reshape({2, -1}).shape() == Shape{2, 4});
  CHECK(std::as_const(tensor).reshape({-1}).shape() == Shape{8});

  SECTION("a copy") {
    auto copy = seen;
    copy.data()[2] = 1.0f;
    CHECK(seen.data()[2] == 5.0f);
    CHECK(copy.data()[2] == 1.0f);
  }
  SECTION("what was copied from") {
    tensor.data()[2] = 1.0f;
    CHECK(seen.data()[2] == 5.0f);
    CHECK(seen.is_unique());
  }
  SECTION("a slice, a row and another shape, of a const tensor, too") {
    auto rows = seen.slice(1, 3);
    rows.span()[0] = 1.0f;
    auto flat = seen.reshape({8});
    flat.data()[2] = 4.0f;
    static_assert(std::is_same_v<decltype(seen[1].data()), const float*>);
    CHECK(seen[1].data() == seen.data() + 2);
    CHECK(seen.data()[2] == 5.0f);
    CHECK(rows.data()[0] == 1.0f);
    CHECK(rows.shape() == Shape{2, 2});
  }
  SECTION("one that nobody shares keeps its place") {
    auto alone = tensor.clone();
    const float* const before = std::as_const(alone).data();
    CHECK(alone.data() == before);
    auto moved = std::move(alone);
    CHECK(moved.data() == before);
  }
  SECTION("storage that a host keeps") {
    const auto storage = std::make_shared<float>(7.0f);
    Tensor<float> one({1}, storage);
    one.data()[0] = 8.0f;
    CHECK(*storage == 7.0f);
    CHECK(one.data()[0] == 8.0f);
  }
  expect_error<ArgumentError>([&] { (void)tensor.reshape({-2, -4}); }, {"extent of -2"});
  expect_error<ArgumentError>([&] { (void)tensor.reshape({3, -1}); }, {"[4, 2]"});
  expect_error<ArgumentError>([&] { (void)tensor.slice(3, 5); }, {"[3, 5)", "[4, 2]"});
}

TEST_CASE("threads write to copies of one tensor", "[tensor]") {
  const auto original = Tensor<int>::full({1000}, -1);
  std::atomic<int> wrong = 0;
  for (int round = 0; round < 50; ++round) {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i)
      threads.emplace_back([&, i, copy = original]() mutable {
        const int number = i % 2 == 0 ? i : -1;
        if (i % 2 == 0) std::fill_n(copy.data(), copy.size(), number);
        const auto kept = copy;
        wrong += static_cast<int>(std::count_if(kept.span().begin(), kept.span().end(),
                                                [&](int value) { return value != number; }));
      });
  }
  CHECK(wrong == 0);
  CHECK(std::count(original.span().begin(), original.span().end(), -1) == 1000);
  CHECK(original.is_unique());
}

TEST_CASE("a tensor may hold the bytes of a file", "[tensor]") {
  Tensor<std::byte> bytes({3});
  bytes.span()[2] = std::byte{7};
  const auto copy = bytes;
  bytes.data()[2] = std::byte{8};
  CHECK(copy.data()[2] == std::byte{7});
  CHECK(Tensor<std::byte>::zeros({2}).data()[1] == std::byte{0});
}

TEST_CASE("tensors are Eigen maps", "[tensor]") {
  const std::array<float, 6> values{1, 2, 3, 4, 5, 6};
  auto tensor = Tensor<float>::copy_of({1, 2, 3}, values);
  CHECK(matrix(tensor)(1, 0) == 4.0f);
  array(tensor) *= 2.0f;
  CHECK(tensor.data()[5] == 12.0f);
}

TEST_CASE("bfloat16 rounds to nearest even and keeps NaN", "[tensor][dtype]") {
  CHECK(bfloat16(1.0f).bits == 0x3F80);
  CHECK(bfloat16(std::bit_cast<float>(0x3F808000u)).bits == 0x3F80);  // tie, down to even
  CHECK(bfloat16(std::bit_cast<float>(0x3F818000u)).bits == 0x3F82);  // tie, up to even
  CHECK(bfloat16(std::numeric_limits<float>::max()).bits == 0x7F80);
  CHECK(std::isnan(static_cast<float>(bfloat16(std::numeric_limits<float>::quiet_NaN()))));
  CHECK(std::isnan(static_cast<float>(bfloat16(std::bit_cast<float>(0x7F800001u)))));
  for (std::uint32_t bits = 0; bits < 0x10000u; ++bits) {
    bfloat16 value;
    value.bits = static_cast<std::uint16_t>(bits);
    const auto wide = static_cast<float>(value);
    if (!std::isnan(wide)) REQUIRE(bfloat16(wide).bits == bits);
  }
}

TEST_CASE("half converts every bit pattern exactly", "[tensor][dtype]") {
  for (std::uint32_t bits = 0; bits < 0x10000u; ++bits) {
    half value;
    value.bits = static_cast<std::uint16_t>(bits);
    const std::uint32_t exponent = (bits >> 10) & 31u;
    const auto fraction = static_cast<float>(bits & 1023u);
    const float sign = (bits & 0x8000u) != 0 ? -1.0f : 1.0f;
    const auto wide = static_cast<float>(value);
    if (exponent == 31) {
      REQUIRE((fraction == 0.0f ? std::isinf(wide) && wide * sign > 0 : std::isnan(wide)));
      if (fraction == 0.0f) REQUIRE(half(wide).bits == bits);
    } else {
      const float expected = exponent == 0
                                 ? sign * std::ldexp(fraction, -24)
                                 : sign * std::ldexp(1024.0f + fraction, static_cast<int>(exponent) - 25);
      REQUIRE(wide == expected);
      REQUIRE(std::signbit(wide) == std::signbit(expected));
      REQUIRE(half(wide).bits == bits);
    }
  }
  CHECK(half(65519.9f).bits == 0x7BFF);
  CHECK(half(65520.0f).bits == 0x7C00);
  CHECK(half(std::ldexp(1.0f, -25)).bits == 0);  // tie between 0 and the smallest, to even
  CHECK(half(std::ldexp(1.5f, -25)).bits == 1);
  CHECK(half(1.0f + std::ldexp(1.0f, -11)).bits == 0x3C00);  // tie to even
}

TEST_CASE("a memory pool hands a released block out again", "[tensor]") {
  const MemoryPool pool;
  const std::byte* first = nullptr;
  {
    Tensor<float> tensor({1000}, pool);
    first = reinterpret_cast<const std::byte*>(tensor.data());
    CHECK(reinterpret_cast<std::uintptr_t>(first) % 64 == 0);
  }
  const auto again = pool.allocate(4000);
  CHECK(again.get() == first);
  CHECK(pool.allocate(4000).get() != first);
  CHECK(pool.allocate(0).get() != nullptr);
}

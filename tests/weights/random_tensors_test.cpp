#include "daguerre/weights/random_tensors.hpp"

#include <algorithm>
#include <cmath>
#include <memory>

#include "daguerre/core/error.hpp"
#include "daguerre/weights/state_dict.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace daguerre;
using weights::RandomTensors;
using weights::StateDict;

namespace {

StateDict made_up(std::uint64_t seed = 0, DType dtype = DType::f16) {
  return StateDict({std::make_shared<const RandomTensors>(seed, dtype)}, "random");
}

bool same(const Tensor<float>& a, const Tensor<float>& b) {
  return std::equal(a.span().begin(), a.span().end(), b.span().begin(), b.span().end());
}

}  // namespace

TEST_CASE("random weights have whatever is asked for", "[weights][random]") {
  const auto state = made_up();
  CHECK_FALSE(state.contains("conv.weight"));
  const auto tensor = state.tensor("conv.weight", {64, 32, 3, 3});
  CHECK(tensor.shape() == Shape{64, 32, 3, 3});
  CHECK(state.names() == std::vector<std::string>{"conv.weight"});
  CHECK(state.unused().empty());
  CHECK(state.find("conv.weight")->dtype == DType::f16);
  // Known by now, it has one shape.
  test::expect_error<WeightError>(
      [&] {
        state.tensor("conv.weight", {64, 32});
      },
      {"conv.weight", "[64, 32]"});

  double sum = 0.0, squares = 0.0;
  for (const float value : tensor.span()) {
    CHECK(value == static_cast<float>(half(value)));
    sum += static_cast<double>(value);
    squares += static_cast<double>(value) * static_cast<double>(value);
  }
  const auto count = static_cast<double>(tensor.size());
  const double variance = 1.0 / (32 * 3 * 3);
  CHECK(std::abs(sum / count) < 5.0 * std::sqrt(variance / count));
  CHECK(squares / count == Approx(variance).epsilon(0.05));

  const auto gain = state.tensor("norm.weight", {5}), shift = state.tensor("norm.bias", {5});
  for (const float value : gain.span()) CHECK(value == 1.0f);
  for (const float value : shift.span()) CHECK(value == 0.0f);
}

TEST_CASE("a random weight depends on seed, name and place alone", "[weights][random]") {
  const auto first = made_up(7).tensor("a.weight", {6, 4});
  CHECK(same(first, made_up(7).tensor("a.weight", {6, 4})));
  CHECK_FALSE(same(first, made_up(8).tensor("a.weight", {6, 4})));
  CHECK_FALSE(same(first, made_up(7).tensor("b.weight", {6, 4})));

  // As an engine reads it, in parts, and as it would be written.
  const auto state = made_up(7, DType::f32);
  const auto whole = state.tensor("a.weight", {6, 4});
  const ops::Weight weight(state.weight("a.weight", {6, 4}));
  Tensor<float> rows({2, 4});
  weight.read(3, 5, rows.data());
  CHECK(same(rows, whole.slice(3, 5)));
  std::vector<std::byte> scratch;
  const auto bytes = state.bytes("a.weight", scratch);
  REQUIRE(bytes.size() == whole.span().size_bytes());
  CHECK(std::equal(bytes.begin(), bytes.end(), std::as_bytes(whole.span()).begin()));
}

TEST_CASE("random weights are of a type that can be multiplied", "[weights][random]") {
  test::expect_error<ArgumentError>([] { RandomTensors(0, DType::i8); }, {"[weights]", "I8", "F16"});
}

TEST_CASE("random blocks are matrices whose rows hold whole ones", "[weights][random]") {
  const auto state = made_up(3, DType::q4_k);
  const auto source = state.weight("a.weight", {20, 512});
  CHECK(source.dtype == DType::q4_k);
  CHECK(source.bytes.size() == 20 * 2 * 144);
  const auto again = made_up(3, DType::q4_k).weight("a.weight", {20, 512});
  CHECK(std::equal(source.bytes.begin(), source.bytes.end(), again.bytes.begin()));
  const auto tensor = state.tensor("a.weight", {20, 512});
  double sum = 0.0, squares = 0.0;
  for (const float value : tensor.span()) {
    sum += static_cast<double>(value);
    squares += static_cast<double>(value) * static_cast<double>(value);
  }
  CHECK(std::abs(sum / 10240) < 0.005);
  CHECK(squares / 10240 == Approx(1.0 / 512).epsilon(0.1));
  CHECK(state.weight("b.weight", {20, 320}).dtype == DType::f16);
  CHECK(state.weight("norm.weight", {512}).dtype == DType::f16);
  test::expect_error<ArgumentError>([] { RandomTensors(0, DType::iq2_s); }, {"IQ2_S"});
}

#include "daguerre/metrics/inception_input.hpp"

#include "daguerre/ops/resample.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;

TEST_CASE("bilinear resizing interpolates between pixel centres", "[metrics][ops]") {
  const ops::Context context;
  SECTION("the same size changes nothing") {
    const auto x = test::random_tensor({2, 5, 7, 3}, 1);
    const auto y = ops::resize_bilinear(context, x, 5, 7);
    CHECK(std::equal(x.span().begin(), x.span().end(), y.span().begin()));
  }
  SECTION("a ramp doubled: quarters and three quarters, borders repeated") {
    const auto x = Tensor<float>::copy_of({1, 1, 3, 1}, std::vector<float>{0, 4, 8});
    const auto y = ops::resize_bilinear(context, x, 2, 6);
    const std::vector<float> row{0, 1, 3, 5, 7, 8};
    REQUIRE(y.shape() == Shape{1, 2, 6, 1});
    for (std::size_t i = 0; i < 12; ++i) CHECK(y.span()[i] == Approx(row[i % 6]));
  }
  SECTION("shrinking to a third takes the middle pixels, without an average") {
    const auto x = test::random_tensor({1, 9, 6, 2}, 2);
    const auto y = ops::resize_bilinear(context, x, 3, 2);
    for (Index i = 0; i < 3; ++i)
      for (Index j = 0; j < 2; ++j)
        for (Index c = 0; c < 2; ++c)
          CHECK(y.data()[(i * 2 + j) * 2 + c] == Approx(x.data()[((3 * i + 1) * 6 + 3 * j + 1) * 2 + c]));
  }
  SECTION("rows and columns do the same") {
    const auto x = test::random_tensor({1, 8, 1, 1}, 3);
    const auto down = ops::resize_bilinear(context, x, 13, 1);
    const auto across = ops::resize_bilinear(context, x.reshape({1, 1, 8, 1}), 1, 13);
    for (std::size_t i = 0; i < 13; ++i) CHECK(down.span()[i] == Approx(across.span()[i]));
  }
  SECTION("nothing to resize, or to nothing") {
    const auto x = test::random_tensor({1, 4, 4, 1}, 4);
    test::expect_error<ArgumentError>([&] { ops::resize_bilinear(context, x, 0, 3); }, {"0 x 3"});
    test::expect_error<ArgumentError>(
        [&] {
          ops::resize_bilinear(context, x.reshape({4, 4}), 3, 3);
        },
        {"resize_bilinear", "[4, 4]"});
    test::expect_error<ArgumentError>([&] { metrics::inception_input(context, Tensor<float>()); }, {"[0]"});
  }
}

TEST_CASE("the Inception network's input is 299 pixels wide and in [-1, 1]", "[metrics]") {
  const auto y = metrics::inception_input(ops::Context{}, Tensor<float>::full({1, 4, 6, 3}, 0.25f));
  REQUIRE(y.shape() == Shape{1, 299, 299, 3});
  CHECK(std::all_of(y.span().begin(), y.span().end(),
                    [](float value) { return std::abs(value + 0.5f) < 1e-6f; }));
}

#include "daguerre/ops/fir.hpp"

#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/golden.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;
using namespace daguerre::ops;

namespace {

double at(const Tensor<float>& x, Index n, Index row, Index column, Index channel, Border border) {
  const Index height = x.dim(1), width = x.dim(2);
  const auto inside = [&](Index i, Index size) { return i < 0 ? -i : i >= size ? 2 * (size - 1) - i : i; };
  const bool outside = row < 0 || row >= height || column < 0 || column >= width;
  if (outside && border == Border::zeros) return 0.0;
  row = inside(row, height), column = inside(column, width);
  return static_cast<double>(x.data()[((n * height + row) * width + column) * x.dim(3) + channel]);
}

/// By the definition: zeros between the pixels of a larger picture, a kernel of 4 x 4 moved over it.
Tensor<float> filtered(const Tensor<float>& x, bool up, Border border) {
  constexpr double kernel[] = {1 / 8.0, 3 / 8.0, 3 / 8.0, 1 / 8.0};
  const Index height = up ? 2 * x.dim(1) : x.dim(1) / 2, width = up ? 2 * x.dim(2) : x.dim(2) / 2;
  Tensor<float> y({x.dim(0), height, width, x.dim(3)});
  float* out = y.data();
  for (Index n = 0; n < x.dim(0); ++n)
    for (Index i = 0; i < height; ++i)
      for (Index j = 0; j < width; ++j)
        for (Index c = 0; c < x.dim(3); ++c) {
          double sum = 0.0;
          for (Index u = 0; u < 4; ++u)
            for (Index v = 0; v < 4; ++v) {
              const double weight = kernel[u] * kernel[v];
              if (!up) {
                sum += weight * at(x, n, 2 * i + u - 1, 2 * j + v - 1, c, border);
              } else if ((i + u) % 2 == 0 && (j + v) % 2 == 0) {
                sum += 4.0 * weight * at(x, n, (i + u - 2) / 2, (j + v - 2) / 2, c, border);
              }
            }
          *out++ = static_cast<float>(sum);
        }
  return y;
}

}  // namespace

TEST_CASE("pictures are halved and doubled through the filter that is written down", "[ops][fir]") {
  const auto context = test::context_for("native");
  for (const auto border : {Border::zeros, Border::reflected})
    for (const auto& shape : {Shape{2, 6, 4, 3}, Shape{1, 7, 5, 2}, Shape{1, 2, 2, 1}}) {
      INFO(to_string(shape) << (border == Border::zeros ? ", zeros" : ", reflected"));
      const auto x = test::random_tensor(shape, 5);
      const auto half = fir_downsample(context, x, border);
      CHECK(half.shape() == Shape{shape[0], shape[1] / 2, shape[2] / 2, shape[3]});
      CHECK(test::difference(half, filtered(x, false, border)).rel_l2 < 1e-6);
      const auto twice = fir_upsample(context, x, border);
      CHECK(twice.shape() == Shape{shape[0], 2 * shape[1], 2 * shape[2], shape[3]});
      CHECK(test::difference(twice, filtered(x, true, border)).rel_l2 < 1e-6);
    }
}

TEST_CASE("with reflected borders the filter leaves an even picture as it is", "[ops][fir]") {
  const auto context = test::context_for("native");
  const auto x = Tensor<float>::full({1, 4, 6, 2}, 0.75f);
  for (const auto& y :
       {fir_downsample(context, x, Border::reflected), fir_upsample(context, x, Border::reflected)})
    CHECK(test::difference(y, Tensor<float>::full(y.shape(), 0.75f)).max_abs < 1e-6);
}

TEST_CASE("pictures too small for the filter are refused", "[ops][fir]") {
  const auto context = test::context_for("native");
  const auto thin = Tensor<float>::zeros({1, 1, 4, 3});
  test::expect_error<ArgumentError>([&] { fir_downsample(context, thin, Border::zeros); }, {"[1, 1, 4, 3]"});
  test::expect_error<ArgumentError>([&] { fir_upsample(context, thin, Border::reflected); },
                                    {"[1, 1, 4, 3]"});
  CHECK(fir_upsample(context, thin, Border::zeros).shape() == Shape{1, 2, 8, 3});
  test::expect_error<ArgumentError>(
      [&] {
        fir_downsample(context, Tensor<float>::zeros({4, 4, 3}), Border::zeros);
      },
      {"[N, H, W, C]"});
}

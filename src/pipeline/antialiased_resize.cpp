#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "daguerre/ops/interpolate.hpp"
#include "daguerre/pipeline/picture_preparation.hpp"
#include "pipeline/name.hpp"

namespace daguerre {
namespace {

/// An odd number of weights that sum up to 1, in float32 as torch computes them.
std::vector<float> gaussian_weights(double factor) {
  const double sigma = std::max((factor - 1.0) / 2.0, 0.001);
  auto count = static_cast<int>(std::max(4.0 * sigma, 3.0));
  if (count % 2 == 0) ++count;
  const auto width = static_cast<float>(sigma);
  std::vector<float> weights(static_cast<std::size_t>(count));
  float sum = 0.0f;
  for (int i = 0; i < count; ++i) {
    const auto x = static_cast<float>(i - count / 2);
    sum += weights[static_cast<std::size_t>(i)] = std::exp(-(x * x) / (2.0f * width * width));
  }
  for (float& weight : weights) weight /= sum;
  return weights;
}

/// Along the rows or the columns of `x[N, H, W, C]`, the pixel at the border standing once.
Tensor<float> blurred(const ops::Context& context, const Tensor<float>& x, bool down,
                      const std::vector<float>& weights) {
  const Index size = x.dim(down ? 1 : 2), columns = x.dim(2), channels = x.dim(3);
  const auto reach = static_cast<Index>(weights.size() / 2);
  if (reach >= size)
    throw ArgumentError(pipeline_name, "a side of " + std::to_string(size) +
                                           " pixels is too short to be blurred over " +
                                           std::to_string(weights.size()));
  const Index stride = (down ? columns : 1) * channels;
  auto y = context.empty<float>(x.shape());
  float* const out = y.data();
  parallel_for(context.threads, x.size() / channels, 4096, [&](Index begin, Index end) {
    for (Index pixel = begin; pixel < end; ++pixel) {
      const Index at = down ? pixel / columns % size : pixel % columns;
      for (Index c = 0; c < channels; ++c) {
        const float* const own = x.data() + pixel * channels + c;
        float sum = 0.0f;
        for (Index k = -reach; k <= reach; ++k) {
          Index place = std::abs(at + k);
          if (place >= size) place = 2 * (size - 1) - place;
          sum += weights[static_cast<std::size_t>(k + reach)] * own[(place - at) * stride];
        }
        out[pixel * channels + c] = sum;
      }
    }
  });
  return y;
}

}  // namespace

Tensor<float> antialiased_resize(const ops::Context& context, const Tensor<float>& pictures, Index height,
                                 Index width) {
  if (pictures.rank() != 4 || pictures.empty())
    throw ArgumentError(pipeline_name, "pictures " + to_string(pictures.shape()) + ", expected [N, H, W, C]");
  const auto factor = [](Index from, Index to) {
    return static_cast<double>(from) / static_cast<double>(to);
  };
  const auto across = blurred(context, pictures, false, gaussian_weights(factor(pictures.dim(2), width)));
  const auto both = blurred(context, across, true, gaussian_weights(factor(pictures.dim(1), height)));
  return ops::interpolate(context, both, height, width,
                          {.mode = ops::Interpolation::bicubic, .align_corners = true});
}

}  // namespace daguerre

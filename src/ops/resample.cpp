#include <algorithm>
#include <vector>

#include "daguerre/ops/resample-inl.hpp"

namespace daguerre::ops {
namespace {

/// The two pixels that a new one lies between, and the weight of the second.
struct Between {
  Index first = 0;
  Index second = 0;
  float weight = 0.0f;
};

/// The ratio is rounded to float32 as torch does it, the positions are not: far from the origin float32 would
/// leave few bits to the weights.
std::vector<Between> linear_points(Index in_size, Index out_size) {
  const double scale = static_cast<float>(in_size) / static_cast<float>(out_size);
  std::vector<Between> points;
  for (Index i = 0; i < out_size; ++i) {
    const double at = std::max(scale * (static_cast<double>(i) + 0.5) - 0.5, 0.0);
    const Index first = std::min(static_cast<Index>(at), in_size - 1);
    points.push_back(
        {first, std::min(first + 1, in_size - 1), static_cast<float>(at - static_cast<double>(first))});
  }
  return points;
}

}  // namespace

Tensor<float> resize_bilinear(const Context& context, const Tensor<float>& x, Index height, Index width) {
  const Profile::Scope scope(context, OpKind::resample);
  detail::check_resampling("resize_bilinear", x, height, width);
  return with_operations(
      context, [&](const Operations& engine) { return engine.resize_bilinear(context, x, height, width); });
}

Tensor<float> Operations::resize_bilinear(const Context& context, const Tensor<float>& x, Index height,
                                          Index width) const {
  const Index rows = x.dim(1), columns = x.dim(2), channels = x.dim(3);
  auto y = context.empty<float>({x.dim(0), height, width, channels});
  const auto down = linear_points(rows, height), across = linear_points(columns, width);
  parallel_for(context.threads, x.dim(0) * height, 4, [&](Index begin, Index end) {
    for (Index line = begin; line < end; ++line) {
      const Between& v = down[static_cast<std::size_t>(line % height)];
      const float* picture = x.data() + line / height * rows * columns * channels;
      const float* top = picture + v.first * columns * channels;
      const float* bottom = picture + v.second * columns * channels;
      float* out = y.data() + line * width * channels;
      for (const Between& u : across)
        for (Index c = 0; c < channels; ++c) {
          const auto along = [&, a = u.first * channels + c, b = u.second * channels + c](const float* row) {
            return (1.0f - u.weight) * row[a] + u.weight * row[b];
          };
          *out++ = (1.0f - v.weight) * along(top) + v.weight * along(bottom);
        }
    }
  });
  return y;
}

Tensor<float> average_pool_2x2(const Context& context, const Tensor<float>& x) {
  const Profile::Scope scope(context, OpKind::resample);
  if (x.rank() != 4)
    throw ArgumentError("average_pool_2x2", "input " + to_string(x.shape()) + ", expected [N, H, W, C]");
  return with_operations(context,
                         [&](const Operations& engine) { return engine.average_pool_2x2(context, x); });
}

Tensor<float> Operations::average_pool_2x2(const Context& context, const Tensor<float>& x) const {
  const Index height = x.dim(1) / 2, width = x.dim(2) / 2, channels = x.dim(3);
  auto y = context.empty<float>({x.dim(0), height, width, channels});
  parallel_for(context.threads, x.dim(0) * height, 4, [&](Index begin, Index end) {
    for (Index line = begin; line < end; ++line) {
      const float* top = x.data() + (line / height * x.dim(1) + line % height * 2) * x.dim(2) * channels;
      const float* bottom = top + x.dim(2) * channels;
      float* out = y.data() + line * width * channels;
      for (Index i = 0; i < width; ++i, top += 2 * channels, bottom += 2 * channels, out += channels)
        for (Index c = 0; c < channels; ++c)
          out[c] = 0.25f * (top[c] + top[channels + c] + bottom[c] + bottom[channels + c]);
    }
  });
  return y;
}

Tensor<float> global_average_pool(const Context& context, const Tensor<float>& x) {
  const Profile::Scope scope(context, OpKind::resample);
  if (x.rank() != 4 || x.empty())
    throw ArgumentError("global_average_pool", "input " + to_string(x.shape()) + ", expected [N, H, W, C]");
  return with_operations(context,
                         [&](const Operations& engine) { return engine.global_average_pool(context, x); });
}

Tensor<float> Operations::global_average_pool(const Context& context, const Tensor<float>& x) const {
  const Index pixels = x.dim(1) * x.dim(2), channels = x.dim(3);
  auto y = context.empty<float>({x.dim(0), 1, 1, channels});
  parallel_for(context.threads, x.dim(0) * channels, 16, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      const float* from = x.data() + i / channels * pixels * channels + i % channels;
      double sum = 0.0;
      for (Index pixel = 0; pixel < pixels; ++pixel) sum += static_cast<double>(from[pixel * channels]);
      y.data()[i] = static_cast<float>(sum / static_cast<double>(pixels));
    }
  });
  return y;
}

template Tensor<float> upsample_nearest(const Context&, const Tensor<float>&, Index, Index);
template Tensor<bfloat16> upsample_nearest(const Context&, const Tensor<float>&, Index, Index);

}  // namespace daguerre::ops

#include <algorithm>
#include <array>
#include <vector>

#include "daguerre/ops/resample-inl.hpp"

namespace daguerre::ops {
namespace {

/// The two pixels that a new one lies between, and what each counts.
struct Between {
  Index first = 0;
  Index second = 0;
  float first_weight = 1.0f;
  float second_weight = 0.0f;
};

/// The ratio and the weights are rounded to float32 as torch does it, the positions are not: torch computes
/// them in the type that it sums in, which on a CPU is double.
std::vector<Between> linear_points(Index in_size, Index out_size) {
  const double scale = static_cast<float>(in_size) / static_cast<float>(out_size);
  std::vector<Between> points;
  for (Index i = 0; i < out_size; ++i) {
    const double at = std::max(scale * (static_cast<double>(i) + 0.5) - 0.5, 0.0);
    const Index first = std::min(static_cast<Index>(at), in_size - 1);
    const float weight = static_cast<float>(at - static_cast<double>(first));
    points.push_back({first, std::min(first + 1, in_size - 1), 1.0f - weight, weight});
  }
  return points;
}

/// TensorFlow's, all in float32.
std::vector<Between> linear_points_tf1(Index in_size, Index out_size) {
  const auto scale = static_cast<float>(static_cast<double>(in_size) / static_cast<double>(out_size));
  std::vector<Between> points;
  for (Index i = 0; i < out_size; ++i) {
    const float at = static_cast<float>(i) * scale;
    const Index first = std::min(static_cast<Index>(at), in_size - 1);
    const float weight = at - static_cast<float>(first);
    points.push_back({first, std::min(first + 1, in_size - 1), 1.0f - weight, weight});
  }
  return points;
}

using Corners = std::array<float, 4>;

/// A picture of which each new pixel is made of four: `mix(v, u, corners)` of the rows and columns that it
/// lies between and the four of them, row by row.
template <class Mix>
Tensor<float> resized_by(const Context& context, const Tensor<float>& x, const std::vector<Between>& down,
                         const std::vector<Between>& across, const Mix& mix) {
  const Index rows = x.dim(1), columns = x.dim(2), channels = x.dim(3), height = std::ssize(down);
  auto y = context.empty<float>({x.dim(0), height, std::ssize(across), channels});
  float* const to = y.data();
  parallel_for(context.threads, x.dim(0) * height, 4, [&](Index begin, Index end) {
    for (Index line = begin; line < end; ++line) {
      const Between& v = down[static_cast<std::size_t>(line % height)];
      const float* picture = x.data() + line / height * rows * columns * channels;
      const float* top = picture + v.first * columns * channels;
      const float* bottom = picture + v.second * columns * channels;
      float* out = to + line * std::ssize(across) * channels;
      for (const Between& u : across) {
        const Index left = u.first * channels, right = u.second * channels;
        for (Index c = 0; c < channels; ++c)
          *out++ = mix(v, u, Corners{top[left + c], top[right + c], bottom[left + c], bottom[right + c]});
      }
    }
  });
  return y;
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
  return resized_by(context, x, linear_points(x.dim(1), height), linear_points(x.dim(2), width),
                    [](const Between& v, const Between& u, const Corners& corners) {
                      const std::array<float, 4> weights{
                          v.first_weight * u.first_weight, v.first_weight * u.second_weight,
                          v.second_weight * u.first_weight, v.second_weight * u.second_weight};
                      double sum = 0.0;
                      for (std::size_t i = 0; i < corners.size(); ++i)
                        sum += static_cast<double>(weights[i]) * static_cast<double>(corners[i]);
                      return static_cast<float>(sum);
                    });
}

Tensor<float> resize_bilinear_tf1(const Context& context, const Tensor<float>& x, Index height, Index width) {
  const Profile::Scope scope(context, OpKind::resample);
  detail::check_resampling("resize_bilinear_tf1", x, height, width);
  return with_operations(context, [&](const Operations& engine) {
    return engine.resize_bilinear_tf1(context, x, height, width);
  });
}

Tensor<float> Operations::resize_bilinear_tf1(const Context& context, const Tensor<float>& x, Index height,
                                              Index width) const {
  return resized_by(context, x, linear_points_tf1(x.dim(1), height), linear_points_tf1(x.dim(2), width),
                    [](const Between& v, const Between& u, const Corners& corners) {
                      const float top = corners[0] + (corners[1] - corners[0]) * u.second_weight;
                      const float bottom = corners[2] + (corners[3] - corners[2]) * u.second_weight;
                      return top + (bottom - top) * v.second_weight;
                    });
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

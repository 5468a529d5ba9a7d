#include "daguerre/ops/interpolate.hpp"

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "daguerre/ops/resample-inl.hpp"

namespace daguerre::ops {
namespace {

/// Of one axis: the pixels that each new one is made of, as many for each, and what they count.
struct AxisTaps {
  std::size_t per_pixel = 0;
  std::vector<Index> places;
  std::vector<float> weights;

  std::span<const Index> places_of(Index i) const {
    return std::span(places).subspan(static_cast<std::size_t>(i) * per_pixel, per_pixel);
  }
  std::span<const float> weights_of(Index i) const {
    return std::span(weights).subspan(static_cast<std::size_t>(i) * per_pixel, per_pixel);
  }
};

float triangle_filter(float x) {
  x = std::abs(x);
  return x < 1.0f ? 1.0f - x : 0.0f;
}

/// Keys's cubic convolution (Keys 1981, eq. 4).
float cubic_filter(double x, double a) {
  x = std::abs(x);
  if (x < 1.0) return static_cast<float>(((a + 2.0) * x - (a + 3.0)) * x * x + 1.0);
  if (x < 2.0) return static_cast<float>((((x - 5.0) * x + 8.0) * x - 4.0) * a);
  return 0.0f;
}

/// Adds one new pixel, filled up to `per_pixel` with what does not count.
class TapsBuilder {
 public:
  TapsBuilder(Index in_size, std::size_t per_pixel) : in_size_(in_size) { taps_.per_pixel = per_pixel; }
  void add(Index place, float weight) {
    taps_.places.push_back(std::clamp<Index>(place, 0, in_size_ - 1));
    taps_.weights.push_back(weight);
  }
  void fill() {
    while (taps_.weights.size() % taps_.per_pixel != 0) add(taps_.places.back(), 0.0f);
  }
  AxisTaps take() { return std::move(taps_); }

 private:
  Index in_size_;
  AxisTaps taps_;
};

/// The old size over the new one, rounded to float32 as torch does it.
float ratio_of(Index in_size, Index out_size, const InterpolateOptions& options) {
  return options.factor ? static_cast<float>(1.0 / *options.factor)
                        : static_cast<float>(in_size) / static_cast<float>(out_size);
}

AxisTaps nearest_taps(Index in_size, Index out_size, const InterpolateOptions& options) {
  const float ratio = ratio_of(in_size, out_size, options);
  const float shift = options.mode == Interpolation::nearest ? 0.0f : 0.5f;
  TapsBuilder taps(in_size, 1);
  for (Index i = 0; i < out_size; ++i)
    taps.add(static_cast<Index>((static_cast<float>(i) + shift) * ratio), 1.0f);
  return taps.take();
}

/// A filter as wide as the picture shrinks; its sums go from left to right.
AxisTaps antialiasing_taps(Index in_size, Index out_size, const InterpolateOptions& options) {
  const bool is_cubic = options.mode == Interpolation::bicubic;
  const float ratio = ratio_of(in_size, out_size, options), reach = is_cubic ? 2.0f : 1.0f;
  const float support = ratio >= 1.0f ? reach * ratio : reach;
  const double narrower = ratio >= 1.0f ? static_cast<double>(static_cast<float>(1.0 / double{ratio})) : 1.0;
  TapsBuilder taps(in_size, static_cast<std::size_t>(std::ceil(support)) * 2 + 1);
  std::vector<float> weights;
  for (Index i = 0; i < out_size; ++i) {
    const auto middle = static_cast<float>(double{ratio} * (static_cast<double>(i) + 0.5));
    const Index first = std::max<Index>(static_cast<Index>(double{middle - support} + 0.5), 0);
    const Index end = std::min(static_cast<Index>(double{middle + support} + 0.5), in_size);
    weights.clear();
    float sum = 0.0f;
    for (Index place = first; place < end; ++place) {
      const auto x = static_cast<float>((double{static_cast<float>(place) - middle} + 0.5) * narrower);
      sum += weights.emplace_back(is_cubic ? cubic_filter(double{x}, -0.5) : triangle_filter(x));
    }
    for (Index place = first; place < end; ++place) {
      const float weight = weights[static_cast<std::size_t>(place - first)];
      taps.add(place, sum != 0.0f ? weight / sum : weight);
    }
    taps.fill();
  }
  return taps.take();
}

/// Between two or four pixels. torch adds the first product to the second one, then the others.
AxisTaps smooth_taps(Index in_size, Index out_size, const InterpolateOptions& options) {
  const bool is_cubic = options.mode == Interpolation::bicubic;
  const double ratio = double{ratio_of(in_size, out_size, options)};
  const float aligned =
      out_size == 1 ? 0.0f : static_cast<float>(in_size - 1) / static_cast<float>(out_size - 1);
  TapsBuilder taps(in_size, is_cubic ? 4 : 2);
  for (Index i = 0; i < out_size; ++i) {
    // The position is not rounded: far from the origin float32 would leave few bits to the weights.
    double at = options.align_corners ? double{aligned * static_cast<float>(i)}
                                      : ratio * (static_cast<double>(i) + 0.5) - 0.5;
    if (!is_cubic) at = std::max(at, 0.0);
    const Index place = std::min(static_cast<Index>(std::floor(at)), in_size - 1);
    const auto beyond = static_cast<float>(std::min(at - static_cast<double>(place), 1.0));
    if (is_cubic) {
      constexpr double a = -0.75;
      taps.add(place, cubic_filter(double{beyond}, a));
      taps.add(place - 1, cubic_filter(double{beyond} + 1.0, a));
      taps.add(place + 1, cubic_filter(1.0 - double{beyond}, a));
      taps.add(place + 2, cubic_filter(2.0 - double{beyond}, a));
    } else {
      taps.add(place + 1, beyond);
      taps.add(place, 1.0f - beyond);
    }
  }
  return taps.take();
}

AxisTaps taps_of(Index in_size, Index out_size, const InterpolateOptions& options) {
  if (options.antialias) return antialiasing_taps(in_size, out_size, options);
  if (options.mode == Interpolation::bilinear || options.mode == Interpolation::bicubic)
    return smooth_taps(in_size, out_size, options);
  return nearest_taps(in_size, out_size, options);
}

/// sum + weight * value, rounded once (but for ties of the double in between), as torch's kernels do it.
float fused(float weight, float value, float sum) {
  return static_cast<float>(double{weight} * double{value} + double{sum});
}

/// The weighted sum of `count` numbers each, which lie `stride` behind each other under the taps.
void add_taps(std::span<const Index> places, std::span<const float> weights, const float* from, Index stride,
              Index count, float* to) {
  const float* first = from + places[0] * stride;
  for (Index c = 0; c < count; ++c) to[c] = weights[0] * first[c];
  for (std::size_t k = 1; k < places.size(); ++k) {
    if (weights[k] == 0.0f) continue;
    const float* next = from + places[k] * stride;
    for (Index c = 0; c < count; ++c) to[c] = fused(weights[k], next[c], to[c]);
  }
}

/// The mean of what each new pixel covers.
Tensor<float> area_means(const Context& context, const Tensor<float>& x, Index height, Index width) {
  const Index rows = x.dim(1), columns = x.dim(2), channels = x.dim(3);
  const auto begin_of = [](Index i, Index in, Index out) { return i * in / out; };
  const auto end_of = [](Index i, Index in, Index out) { return ((i + 1) * in + out - 1) / out; };
  auto y = context.empty<float>({x.dim(0), height, width, channels});
  float* const made = y.data();
  parallel_for(context.threads, x.dim(0) * height, 4, [&](Index begin, Index end) {
    for (Index line = begin; line < end; ++line) {
      const float* picture = x.data() + line / height * rows * columns * channels;
      const Index top = begin_of(line % height, rows, height), bottom = end_of(line % height, rows, height);
      for (Index column = 0; column < width; ++column) {
        const Index left = begin_of(column, columns, width), right = end_of(column, columns, width);
        float* const out = made + (line * width + column) * channels;
        std::fill_n(out, channels, 0.0f);
        for (Index row = top; row < bottom; ++row)
          for (Index place = left; place < right; ++place)
            for (Index c = 0; c < channels; ++c) out[c] += picture[(row * columns + place) * channels + c];
        for (Index c = 0; c < channels; ++c)
          out[c] = out[c] / static_cast<float>(bottom - top) / static_cast<float>(right - left);
      }
    }
  });
  return y;
}

}  // namespace

Tensor<float> interpolate(const Context& context, const Tensor<float>& x, Index height, Index width,
                          const InterpolateOptions& options) {
  const Profile::Scope scope(context, OpKind::resample);
  detail::check_resampling("interpolate", x, height, width);
  const bool is_smooth = options.mode == Interpolation::bilinear || options.mode == Interpolation::bicubic;
  if (options.antialias && !is_smooth)
    throw ArgumentError("interpolate", "antialiasing is for bilinear and bicubic interpolation");
  if (options.align_corners && (!is_smooth || options.antialias || options.factor))
    throw ArgumentError("interpolate",
                        "corners are aligned in bilinear and bicubic interpolation alone, without "
                        "antialiasing and without a factor");
  if (options.factor && !(*options.factor > 0.0 && std::isfinite(*options.factor)))
    throw ArgumentError("interpolate", "the factor is " + std::to_string(*options.factor));
  return with_operations(context, [&](const Operations& engine) {
    return engine.interpolate(context, x, height, width, options);
  });
}

Tensor<float> Operations::interpolate(const Context& context, const Tensor<float>& x, Index height,
                                      Index width, const InterpolateOptions& options) const {
  if (options.mode == Interpolation::area) return area_means(context, x, height, width);
  const Index rows = x.dim(1), columns = x.dim(2), channels = x.dim(3), row_size = width * channels;
  const auto down = taps_of(rows, height, options), across = taps_of(columns, width, options);
  auto narrow = context.empty<float>({x.dim(0), rows, width, channels});
  float* const between = narrow.data();
  parallel_for(context.threads, x.dim(0) * rows, 4, [&](Index begin, Index end) {
    for (Index line = begin; line < end; ++line)
      for (Index column = 0; column < width; ++column)
        add_taps(across.places_of(column), across.weights_of(column), x.data() + line * columns * channels,
                 channels, channels, between + line * row_size + column * channels);
  });
  auto y = context.empty<float>({x.dim(0), height, width, channels});
  float* const made = y.data();
  parallel_for(context.threads, x.dim(0) * height, 4, [&](Index begin, Index end) {
    for (Index line = begin; line < end; ++line)
      add_taps(down.places_of(line % height), down.weights_of(line % height),
               between + line / height * rows * row_size, row_size, row_size, made + line * row_size);
  });
  return y;
}

}  // namespace daguerre::ops

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

double triangle_filter(double x) {
  x = std::abs(x);
  return x < 1.0 ? 1.0 - x : 0.0;
}

/// Keys's cubic convolution (Keys 1981, eq. 4).
double cubic_filter(double x, double a) {
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
  if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
  return 0.0;
}

/// Adds one new pixel, filled up to `per_pixel` with what does not count.
class TapsBuilder {
 public:
  TapsBuilder(Index in_size, std::size_t per_pixel) : in_size_(in_size) { taps_.per_pixel = per_pixel; }
  template <class Weight>
  void add(Index first, Index end, const Weight& weight, bool is_normalised = false) {
    std::vector<double> values;
    double sum = 0.0;
    for (Index place = first; place < end; ++place) sum += values.emplace_back(weight(place));
    for (std::size_t k = 0; k < taps_.per_pixel; ++k) {
      const bool counts = k < values.size();
      const double value = !counts ? 0.0 : is_normalised && sum != 0.0 ? values[k] / sum : values[k];
      taps_.places.push_back(std::clamp<Index>(first + static_cast<Index>(counts ? k : 0), 0, in_size_ - 1));
      taps_.weights.push_back(static_cast<float>(value));
    }
  }
  AxisTaps take() { return std::move(taps_); }

 private:
  Index in_size_;
  AxisTaps taps_;
};

/// Positions as torch computes them: the ratio is rounded to float32.
AxisTaps taps_of(Index in_size, Index out_size, const InterpolateOptions& options) {
  const double scale = options.factor
                           ? static_cast<double>(static_cast<float>(1.0 / *options.factor))
                           : static_cast<double>(static_cast<float>(in_size) / static_cast<float>(out_size));
  const auto one = [](Index) { return 1.0; };
  const auto middle = [&](Index i) { return scale * (static_cast<double>(i) + 0.5); };
  const double aligned =
      out_size == 1 ? 0.0
                    : static_cast<double>(static_cast<float>(in_size - 1) / static_cast<float>(out_size - 1));
  const bool cubic = options.mode == Interpolation::bicubic;
  const double reach = cubic ? 2.0 : 1.0;
  if (options.antialias) {
    const double wider = std::max(scale, 1.0), support = reach * wider;
    TapsBuilder taps(in_size, static_cast<std::size_t>(std::ceil(support)) * 2 + 1);
    for (Index i = 0; i < out_size; ++i) {
      const Index first = std::max<Index>(static_cast<Index>(middle(i) - support + 0.5), 0);
      const Index end = std::min(static_cast<Index>(middle(i) + support + 0.5), in_size);
      const auto weight = [&](Index place) {
        const double x = (static_cast<double>(place) - middle(i) + 0.5) / wider;
        return cubic ? cubic_filter(x, -0.5) : triangle_filter(x);
      };
      taps.add(first, end, weight, true);
    }
    return taps.take();
  }
  if (options.mode == Interpolation::area) {
    TapsBuilder taps(in_size, static_cast<std::size_t>(in_size / out_size + 2));
    for (Index i = 0; i < out_size; ++i)
      taps.add(i * in_size / out_size, ((i + 1) * in_size + out_size - 1) / out_size, one, true);
    return taps.take();
  }
  TapsBuilder taps(in_size, cubic ? 4 : options.mode == Interpolation::bilinear ? 2 : 1);
  for (Index i = 0; i < out_size; ++i) {
    if (options.mode == Interpolation::nearest || options.mode == Interpolation::nearest_exact) {
      const float ratio = static_cast<float>(scale);
      const float at = options.mode == Interpolation::nearest ? static_cast<float>(i) * ratio
                                                              : (static_cast<float>(i) + 0.5f) * ratio;
      const Index place = std::min(static_cast<Index>(at), in_size - 1);
      taps.add(place, place + 1, one);
      continue;
    }
    const double own = options.align_corners ? aligned * static_cast<double>(i) : middle(i) - 0.5;
    const double at = cubic ? own : std::max(own, 0.0);
    const Index place = static_cast<Index>(std::floor(at));
    const auto weight = [&](Index from) {
      const double x = static_cast<double>(from) - at;
      return cubic ? cubic_filter(x, -0.75) : triangle_filter(x);
    };
    taps.add(cubic ? place - 1 : place, cubic ? place + 3 : place + 2, weight);
  }
  return taps.take();
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
  const Index rows = x.dim(1), columns = x.dim(2), channels = x.dim(3), row_size = columns * channels;
  auto y = context.empty<float>({x.dim(0), height, width, channels});
  const auto down = taps_of(rows, height, options), across = taps_of(columns, width, options);
  parallel_for(context.threads, x.dim(0) * height, 4, [&](Index begin, Index end) {
    std::vector<float> row(static_cast<std::size_t>(row_size));
    for (Index line = begin; line < end; ++line) {
      const float* picture = x.data() + line / height * rows * row_size;
      const auto places = down.places_of(line % height);
      const auto weights = down.weights_of(line % height);
      std::ranges::fill(row, 0.0f);
      for (std::size_t k = 0; k < places.size(); ++k) {
        const float* from = picture + places[k] * row_size;
        if (weights[k] == 0.0f) continue;
        for (std::size_t i = 0; i < row.size(); ++i) row[i] += weights[k] * from[i];
      }
      float* out = y.data() + line * width * channels;
      for (Index column = 0; column < width; ++column, out += channels) {
        std::fill_n(out, channels, 0.0f);
        const auto sides = across.places_of(column);
        const auto counts = across.weights_of(column);
        for (std::size_t k = 0; k < sides.size(); ++k)
          for (Index c = 0; counts[k] != 0.0f && c < channels; ++c)
            out[c] += counts[k] * row[static_cast<std::size_t>(sides[k] * channels + c)];
      }
    }
  });
  return y;
}

}  // namespace daguerre::ops

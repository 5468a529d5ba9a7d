#include <algorithm>
#include <cmath>
#include <numbers>

#include "daguerre/media/image.hpp"

// PIL's resampling (Pillow, libImaging/Resample.c), to the bit: weights in double, turned into fixed point,
// and a rounding to 8 bits after each of the two passes.

namespace daguerre {
namespace {

// 8 bits for the value, 2 for sums of weights beyond [0, 1].
constexpr int precision_bits = 32 - 8 - 2;

double sinc(double x) {
  if (x == 0.0) return 1.0;
  x *= std::numbers::pi;
  return std::sin(x) / x;
}

/// A filter and how far it reaches.
struct Filter {
  double support;
  double (*weight)(double x);
};

Filter filter_of(Resampling resampling) {
  switch (resampling) {
    case Resampling::box:
      return {0.5, [](double x) { return x > -0.5 && x <= 0.5 ? 1.0 : 0.0; }};
    case Resampling::bilinear:
      return {1.0, [](double x) { return std::max(1.0 - std::abs(x), 0.0); }};
    case Resampling::hamming:
      return {1.0, [](double x) {
                return std::abs(x) < 1.0 ? sinc(x) * (0.54 + 0.46 * std::cos(x * std::numbers::pi)) : 0.0;
              }};
    case Resampling::bicubic:
      return {2.0, [](double x) {
                constexpr double a = -0.5;
                x = std::abs(x);
                if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
                return x < 2.0 ? (((x - 5) * x + 8) * x - 4) * a : 0.0;
              }};
    default:
      return {3.0, [](double x) { return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3.0) : 0.0; }};
  }
}

/// What of an axis is seen, in pixels.
struct Extent {
  double begin = 0.0, end = 0.0;
};

/// The weights of the input pixels first, first + 1, … for each output pixel of one axis.
template <class Value>
struct Weights {
  struct Window {
    Index first = 0;
    Index count = 0;
  };
  std::vector<Window> windows;
  std::vector<Value> values;  ///< `stride` of them per output pixel
  Index stride = 0;
};

Weights<double> weights_of(Index in_size, Index out_size, const Extent& extent, Resampling resampling) {
  const Filter filter = filter_of(resampling);
  const double scale = (extent.end - extent.begin) / static_cast<double>(out_size);
  const double filter_scale = std::max(scale, 1.0);
  const double support = filter.support * filter_scale;
  Weights<double> weights;
  weights.stride = static_cast<Index>(std::ceil(support)) * 2 + 1;
  weights.windows.resize(static_cast<std::size_t>(out_size));
  weights.values.resize(static_cast<std::size_t>(out_size * weights.stride));
  for (Index i = 0; i < out_size; ++i) {
    const double center = extent.begin + (static_cast<double>(i) + 0.5) * scale;
    const Index first = std::max<Index>(0, static_cast<Index>(center - support + 0.5));
    const Index end = std::min(in_size, static_cast<Index>(center + support + 0.5));
    double* row = weights.values.data() + i * weights.stride;
    double sum = 0.0;
    for (Index k = 0; k < end - first; ++k)
      sum += row[k] = filter.weight((static_cast<double>(k + first) - center + 0.5) * (1.0 / filter_scale));
    for (Index k = 0; k < end - first; ++k) row[k] = sum != 0.0 ? row[k] / sum : 0.0;
    weights.windows[static_cast<std::size_t>(i)] = {first, end - first};
  }
  return weights;
}

Weights<std::int32_t> fixed_weights(Index in_size, Index out_size, const Extent& extent,
                                    Resampling resampling) {
  const auto exact = weights_of(in_size, out_size, extent, resampling);
  Weights<std::int32_t> weights;
  for (const auto& [first, count] : exact.windows) weights.windows.push_back({first, count});
  weights.stride = exact.stride;
  for (const double value : exact.values) {
    const double weight = value * (1 << precision_bits);
    weights.values.push_back(static_cast<std::int32_t>(weight < 0.0 ? weight - 0.5 : weight + 0.5));
  }
  return weights;
}

std::uint8_t round_fixed(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp(sum >> precision_bits, 0, 255));
}

constexpr std::int32_t fixed_half = 1 << (precision_bits - 1);

Image resize_rows(const Image& in, Index width, const Extent& extent, Resampling resampling) {
  const Index channels = in.channels();
  Image out(width, in.height(), channels);  // checks the width
  const auto weights = fixed_weights(in.width(), width, extent, resampling);
  std::uint8_t* to = out.pixels().data();
  for (Index y = 0; y < in.height(); ++y) {
    const std::uint8_t* row = in.pixels().data() + y * in.width() * channels;
    for (Index x = 0; x < width; ++x) {
      const auto [first, count] = weights.windows[static_cast<std::size_t>(x)];
      const std::int32_t* weight = weights.values.data() + x * weights.stride;
      for (Index c = 0; c < channels; ++c) {
        std::int32_t sum = fixed_half;
        for (Index k = 0; k < count; ++k) sum += row[(first + k) * channels + c] * weight[k];
        *to++ = round_fixed(sum);
      }
    }
  }
  return out;
}

Image resize_columns(const Image& in, Index height, const Extent& extent, Resampling resampling) {
  const Index row_size = in.width() * in.channels();
  Image out(in.width(), height, in.channels());  // checks the height
  const auto weights = fixed_weights(in.height(), height, extent, resampling);
  std::vector<std::int32_t> sums(static_cast<std::size_t>(row_size));
  for (Index y = 0; y < height; ++y) {
    const auto [first, count] = weights.windows[static_cast<std::size_t>(y)];
    std::ranges::fill(sums, fixed_half);
    for (Index k = 0; k < count; ++k) {
      const std::int32_t weight = weights.values[static_cast<std::size_t>(y * weights.stride + k)];
      const std::uint8_t* row = in.pixels().data() + (first + k) * row_size;
      for (Index x = 0; x < row_size; ++x) sums[static_cast<std::size_t>(x)] += row[x] * weight;
    }
    std::ranges::transform(sums, out.pixels().data() + y * row_size, round_fixed);
  }
  return out;
}

// Colours are averaged weighted by their alpha, so that those of transparent pixels do not show.
void premultiply(Image& rgba) {
  const auto pixels = rgba.pixels();
  for (std::size_t i = 0; i < pixels.size(); i += 4)
    for (std::size_t c = 0; c < 3; ++c) {
      const unsigned product = pixels[i + c] * unsigned{pixels[i + 3]} + 128;
      pixels[i + c] = static_cast<std::uint8_t>(((product >> 8) + product) >> 8);
    }
}

void unpremultiply(Image& rgba) {
  const auto pixels = rgba.pixels();
  for (std::size_t i = 0; i < pixels.size(); i += 4) {
    const unsigned alpha = pixels[i + 3];
    if (alpha == 0 || alpha == 255) continue;
    for (std::size_t c = 0; c < 3; ++c)
      pixels[i + c] = static_cast<std::uint8_t>(std::min(255u, 255u * pixels[i + c] / alpha));
  }
}

bool is_whole(const Extent& extent, Index size) {
  return extent.begin == 0.0 && extent.end == static_cast<double>(size);
}

Image resize_smoothly(const Image& in, Index width, Index height, Resampling resampling,
                      const ImageBox& box) {
  const Extent across{box.left, box.right}, down{box.top, box.bottom};
  Image image = in;
  if (in.channels() == 4) premultiply(image);
  if (width != in.width() || !is_whole(across, in.width()))
    image = resize_rows(image, width, across, resampling);
  if (height != in.height() || !is_whole(down, in.height()))
    image = resize_columns(image, height, down, resampling);
  if (in.channels() == 4) unpremultiply(image);
  return image;
}

/// The old pixel under the middle of each of `count` new ones, found by adding up steps as Pillow does: where
/// the middle falls between two pixels, the sum's rounding decides.
std::vector<Index> nearest_pixels(Index size, Index count, const Extent& extent) {
  std::vector<Index> result(static_cast<std::size_t>(count));
  const double step = (extent.end - extent.begin) / static_cast<double>(count);
  double position = extent.begin + step * 0.5;
  for (Index& pixel : result) {
    pixel = std::min(static_cast<Index>(position), size - 1);
    position += step;
  }
  return result;
}

Image resize_nearest(const Image& in, Index width, Index height, const ImageBox& box) {
  Image out(width, height, in.channels());
  const auto columns = nearest_pixels(in.width(), width, {box.left, box.right});
  std::uint8_t* to = out.pixels().data();
  for (const Index y : nearest_pixels(in.height(), height, {box.top, box.bottom}))
    for (const Index x : columns)
      to = std::copy_n(in.pixels().data() + (y * in.width() + x) * in.channels(), in.channels(), to);
  return out;
}

/// One axis of `values`, seen as [outer, in_size, inner].
Tensor<float> resize_axis(const Tensor<float>& values, int axis, Index size, Resampling resampling) {
  const Index in_size = values.dim(axis);
  if (size == in_size) return values;
  const Extent whole{0.0, static_cast<double>(in_size)};
  Index outer = 1, inner = 1;
  for (int i = 0; i < values.rank(); ++i) (i < axis ? outer : inner) *= i == axis ? 1 : values.dim(i);
  Tensor<float> result(values.shape().with(axis, size));
  float* to = result.data();
  const bool is_nearest = resampling == Resampling::nearest;
  const auto nearest = is_nearest ? nearest_pixels(in_size, size, whole) : std::vector<Index>();
  const auto weights = is_nearest ? Weights<double>() : weights_of(in_size, size, whole, resampling);
  std::vector<double> sums(static_cast<std::size_t>(inner));
  for (Index n = 0; n < outer; ++n) {
    const float* from = values.data() + n * in_size * inner;
    for (Index i = 0; i < size; ++i) {
      const auto place = static_cast<std::size_t>(i);
      if (is_nearest) {
        to = std::copy_n(from + nearest[place] * inner, inner, to);
        continue;
      }
      std::ranges::fill(sums, 0.0);
      for (Index k = 0; k < weights.windows[place].count; ++k) {
        const float* row = from + (weights.windows[place].first + k) * inner;
        const double weight = weights.values[static_cast<std::size_t>(i * weights.stride + k)];
        for (Index c = 0; c < inner; ++c)
          sums[static_cast<std::size_t>(c)] += static_cast<double>(row[c]) * weight;
      }
      to = std::transform(sums.begin(), sums.end(), to, [](double sum) { return static_cast<float>(sum); });
    }
  }
  return result;
}

}  // namespace

Image Image::resized(Index width, Index height, Resampling resampling) const {
  if (empty()) throw ArgumentError("image", "an empty picture cannot be resized");
  return resized(width, height, resampling,
                 {0.0, 0.0, static_cast<double>(width_), static_cast<double>(height_)});
}

Image Image::resized(Index width, Index height, Resampling resampling, const ImageBox& box) const {
  const auto is_inside = [](double begin, double end, Index size) {
    return begin >= 0.0 && begin < end && end <= static_cast<double>(size);
  };
  if (!is_inside(box.left, box.right, width_) || !is_inside(box.top, box.bottom, height_))
    throw ArgumentError("image", "the part of a picture to be resized is empty or not inside of it");
  const bool is_all = is_whole({box.left, box.right}, width_) && is_whole({box.top, box.bottom}, height_);
  if (is_all && width == width_ && height == height_) return *this;
  return resampling == Resampling::nearest ? resize_nearest(*this, width, height, box)
                                           : resize_smoothly(*this, width, height, resampling, box);
}

Tensor<float> resized(const Tensor<float>& values, Index width, Index height, Resampling resampling) {
  if (values.rank() != 4 || values.empty() || width < 1 || height < 1)
    throw ArgumentError("image", "values " + to_string(values.shape()) + " cannot be resized to " +
                                     std::to_string(width) + " x " + std::to_string(height));
  return resize_axis(resize_axis(values, 2, width, resampling), 1, height, resampling);
}

}  // namespace daguerre

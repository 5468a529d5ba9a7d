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
constexpr double lanczos_support = 3.0;

double sinc(double x) {
  if (x == 0.0) return 1.0;
  x *= std::numbers::pi;
  return std::sin(x) / x;
}

double lanczos(double x) {
  return x >= -lanczos_support && x < lanczos_support ? sinc(x) * sinc(x / lanczos_support) : 0.0;
}

/// Keys's cubic.
double bicubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  return x < 2.0 ? (((x - 5) * x + 8) * x - 4) * a : 0.0;
}

/// A filter, and how far from its middle it reaches.
struct Filter {
  double (*value)(double);
  double support;
};

/// The weights of the input pixels first, first + 1, … for each output pixel of one axis.
struct Weights {
  struct Window {
    Index first = 0;
    Index count = 0;
  };
  std::vector<Window> windows;
  std::vector<std::int32_t> values;  ///< `stride` of them per output pixel
  Index stride = 0;
};

Weights weights_of(const Filter& filter, Index in_size, Index out_size) {
  const double scale = static_cast<double>(in_size) / static_cast<double>(out_size);
  const double filter_scale = std::max(scale, 1.0);
  const double support = filter.support * filter_scale;
  Weights weights;
  weights.stride = static_cast<Index>(std::ceil(support)) * 2 + 1;
  weights.windows.resize(static_cast<std::size_t>(out_size));
  weights.values.resize(static_cast<std::size_t>(out_size * weights.stride));
  std::vector<double> row(static_cast<std::size_t>(weights.stride));
  for (Index i = 0; i < out_size; ++i) {
    const double center = (static_cast<double>(i) + 0.5) * scale;
    const Index first = std::max<Index>(0, static_cast<Index>(center - support + 0.5));
    const Index end = std::min(in_size, static_cast<Index>(center + support + 0.5));
    double sum = 0.0;
    for (Index k = 0; k < end - first; ++k) {
      const double weight =
          filter.value((static_cast<double>(k + first) - center + 0.5) * (1.0 / filter_scale));
      row[static_cast<std::size_t>(k)] = weight;
      sum += weight;
    }
    std::int32_t* fixed = weights.values.data() + i * weights.stride;
    for (Index k = 0; k < end - first; ++k) {
      const double weight =
          (sum != 0.0 ? row[static_cast<std::size_t>(k)] / sum : 0.0) * (1 << precision_bits);
      fixed[k] = static_cast<std::int32_t>(weight < 0.0 ? weight - 0.5 : weight + 0.5);
    }
    weights.windows[static_cast<std::size_t>(i)] = {first, end - first};
  }
  return weights;
}

std::uint8_t round_fixed(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp(sum >> precision_bits, 0, 255));
}

constexpr std::int32_t fixed_half = 1 << (precision_bits - 1);

Image resize_rows(const Image& in, const Filter& filter, Index width) {
  const Index channels = in.channels();
  Image out(width, in.height(), channels);  // checks the width
  const Weights weights = weights_of(filter, in.width(), width);
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

Image resize_columns(const Image& in, const Filter& filter, Index height) {
  const Index row_size = in.width() * in.channels();
  Image out(in.width(), height, in.channels());  // checks the height
  const Weights weights = weights_of(filter, in.height(), height);
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

Image resize_smoothly(const Image& in, const Filter& filter, Index width, Index height) {
  Image image = in;
  if (in.channels() == 4) premultiply(image);
  if (width != in.width()) image = resize_rows(image, filter, width);
  if (height != in.height()) image = resize_columns(image, filter, height);
  if (in.channels() == 4) unpremultiply(image);
  return image;
}

/// The old pixel under the middle of each of `count` new ones, found by adding up steps as Pillow does: where
/// the middle falls between two pixels, the sum's rounding decides.
std::vector<Index> nearest_pixels(Index size, Index count) {
  std::vector<Index> result(static_cast<std::size_t>(count));
  const double step = static_cast<double>(size) / static_cast<double>(count);
  double position = step * 0.5;
  for (Index& pixel : result) {
    pixel = std::min(static_cast<Index>(position), size - 1);
    position += step;
  }
  return result;
}

Image resize_nearest(const Image& in, Index width, Index height) {
  Image out(width, height, in.channels());
  const auto columns = nearest_pixels(in.width(), width);
  std::uint8_t* to = out.pixels().data();
  for (const Index y : nearest_pixels(in.height(), height))
    for (const Index x : columns)
      to = std::copy_n(in.pixels().data() + (y * in.width() + x) * in.channels(), in.channels(), to);
  return out;
}

}  // namespace

Image Image::resized(Index width, Index height, Resampling resampling) const {
  if (empty()) throw ArgumentError("image", "an empty picture cannot be resized");
  if (width == width_ && height == height_) return *this;
  switch (resampling) {
    case Resampling::nearest:
      return resize_nearest(*this, width, height);
    case Resampling::bicubic:
      return resize_smoothly(*this, {bicubic, 2.0}, width, height);
    case Resampling::lanczos:
      break;
  }
  return resize_smoothly(*this, {lanczos, lanczos_support}, width, height);
}

}  // namespace daguerre

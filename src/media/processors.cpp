#include "daguerre/media/processors.hpp"

#include <algorithm>
#include <cmath>

namespace daguerre {
namespace {

/// What `is_white` says of each pixel, of which it is given the values.
template <class Predicate>
Image black_and_white(const Image& image, const Predicate& is_white) {
  Image result(image.width(), image.height(), 1);
  const std::uint8_t* from = image.pixels().data();
  for (std::uint8_t& value : result.pixels()) {
    value = is_white(from) ? 255 : 0;
    from += image.channels();
  }
  return result;
}

Image padded(const Image& image, Index width, Index height, Resampling resampling,
             const std::array<std::uint8_t, 3>& border) {
  const auto ratio = [](Index a, Index b) { return static_cast<double>(a) / static_cast<double>(b); };
  const auto rounded = [](double value) {
    return std::max<Index>(static_cast<Index>(std::nearbyint(value)), 1);
  };
  Index inner_width = width, inner_height = height;
  const double shape = ratio(image.width(), image.height()), wanted = ratio(width, height);
  if (shape > wanted)
    inner_height = rounded(ratio(image.height(), image.width()) * static_cast<double>(width));
  if (shape < wanted)
    inner_width = rounded(ratio(image.width(), image.height()) * static_cast<double>(height));
  const Image inner =
      image.resized(inner_width, inner_height, resampling).to_channels(image.channels() == 4 ? 4 : 3);
  Image result(width, height, inner.channels());
  const Index channels = inner.channels();
  for (Index i = 0; i < width * height; ++i) {
    std::copy_n(border.data(), 3, result.pixels().data() + i * channels);
    if (channels == 4) result.pixels()[static_cast<std::size_t>(i * 4 + 3)] = 255;
  }
  const auto middle = [](Index outer, Index inside) {
    return static_cast<Index>(std::nearbyint(static_cast<double>(outer - inside) * 0.5));
  };
  const Index left = middle(width, inner_width), top = middle(height, inner_height);
  for (Index y = 0; y < inner_height; ++y)
    std::copy_n(inner.pixels().data() + y * inner_width * channels, inner_width * channels,
                result.pixels().data() + ((top + y) * width + left) * channels);
  return result;
}

}  // namespace

Image inverted(const Image& image) {
  Image result = image;
  const auto pixels = result.pixels();
  for (std::size_t i = 0; i < pixels.size(); ++i)
    if (image.channels() != 4 || i % 4 != 3) pixels[i] = static_cast<std::uint8_t>(255 - pixels[i]);
  return result;
}

Image scribble(const Image& image, int level) {
  const Index colours = std::min<Index>(image.channels(), 3);
  return black_and_white(
      image, [&](const std::uint8_t* pixel) { return *std::min_element(pixel, pixel + colours) < level; });
}

Image thresholded(const Image& image, int level) {
  return black_and_white(image.to_channels(1), [&](const std::uint8_t* pixel) { return *pixel >= level; });
}

Image fitted(const Image& image, Index width, Index height, Fit fit, Resampling resampling,
             const std::array<std::uint8_t, 3>& border) {
  if (fit == Fit::stretch || image.empty() || width < 1 || height < 1)
    return image.resized(width, height, resampling);
  if (fit == Fit::pad) return padded(image, width, height, resampling, border);
  const double in_width = static_cast<double>(image.width()), in_height = static_cast<double>(image.height());
  const double wanted = static_cast<double>(width) / static_cast<double>(height);
  double seen_width = in_width, seen_height = in_height;
  if (in_width / in_height > wanted) seen_width = wanted * in_height;
  if (in_width / in_height < wanted) seen_height = in_width / wanted;
  const double left = (in_width - seen_width) * 0.5, top = (in_height - seen_height) * 0.5;
  return image.resized(
      width, height, resampling,
      {left, top, std::min(left + seen_width, in_width), std::min(top + seen_height, in_height)});
}

}  // namespace daguerre

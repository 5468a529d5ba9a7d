#include "media/yuv.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace daguerre {
namespace {

// BT.601's weights of red and blue in luma.
constexpr double red_weight = 0.299, blue_weight = 0.114, green_weight = 1.0 - red_weight - blue_weight;

struct YuvRange {
  double luma_low, luma_size, chroma_size;
};
constexpr YuvRange range_of(bool full) {
  return full ? YuvRange{0.0, 255.0, 255.0} : YuvRange{16.0, 219.0, 224.0};
}

std::uint8_t rounded(double value) {
  return static_cast<std::uint8_t>(std::clamp(value, 0.0, 255.0) + 0.5);
}

}  // namespace

std::string to_yuv(const Image& image, const YuvLayout& layout) {
  const auto range = range_of(layout.full_range);
  const Index width = image.width(), height = image.height();
  std::string planes(layout.bytes(width, height), '\0');
  auto* out = reinterpret_cast<std::uint8_t*>(planes.data());
  const std::uint8_t* rgb = image.pixels().data();
  const auto luma = [](double r, double g, double b) {
    return red_weight * r + green_weight * g + blue_weight * b;
  };
  for (Index i = 0; i < width * height; ++i)
    *out++ =
        rounded(range.luma_low + range.luma_size / 255.0 * luma(rgb[3 * i], rgb[3 * i + 1], rgb[3 * i + 2]));
  const Index columns = layout.chroma_width(width), rows = layout.chroma_height(height);
  std::uint8_t* cb = out;
  std::uint8_t* cr = out + columns * rows;
  for (Index v = 0; v < rows; ++v)
    for (Index u = 0; u < columns; ++u) {
      const Index bottom = std::min(height, (v + 1) * layout.rows),
                  right = std::min(width, (u + 1) * layout.columns);
      std::array<double, 3> sum{};
      int count = 0;
      for (Index y = v * layout.rows; y < bottom; ++y)
        for (Index x = u * layout.columns; x < right; ++x, ++count)
          for (std::size_t c = 0; c < 3; ++c) sum[c] += rgb[3 * (y * width + x) + static_cast<Index>(c)];
      for (double& value : sum) value /= count * 255.0;
      const double y = luma(sum[0], sum[1], sum[2]);
      *cb++ = rounded(128.0 + range.chroma_size * (sum[2] - y) / (2.0 * (1.0 - blue_weight)));
      *cr++ = rounded(128.0 + range.chroma_size * (sum[0] - y) / (2.0 * (1.0 - red_weight)));
    }
  return planes;
}

Image from_yuv(std::span<const std::uint8_t> planes, Index width, Index height, const YuvLayout& layout) {
  const auto range = range_of(layout.full_range);
  Image image(width, height, 3);
  const Index columns = layout.chroma_width(width), rows = layout.chroma_height(height);
  const std::uint8_t* luma = planes.data();
  const std::uint8_t* cb = luma + width * height;
  const std::uint8_t* cr = cb + columns * rows;
  std::uint8_t* out = image.pixels().data();
  for (Index y = 0; y < height; ++y)
    for (Index x = 0; x < width; ++x) {
      const double light = (*luma++ - range.luma_low) * 255.0 / range.luma_size;
      double blue = 0.0, red = 0.0;
      if (columns > 0) {
        const Index at = y / layout.rows * columns + x / layout.columns;
        blue = (cb[at] - 128.0) * 255.0 / range.chroma_size * 2.0 * (1.0 - blue_weight);
        red = (cr[at] - 128.0) * 255.0 / range.chroma_size * 2.0 * (1.0 - red_weight);
      }
      *out++ = rounded(light + red);
      *out++ = rounded(light - (red_weight * red + blue_weight * blue) / green_weight);
      *out++ = rounded(light + blue);
    }
  return image;
}

}  // namespace daguerre

#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "daguerre/media/image.hpp"

/// Pictures as video has them: luma and two planes of colour differences (ITU-R BT.601), 8 bits each.
namespace daguerre {

/// How many pixels share a value of the colour planes, and which values stand for black and white.
struct YuvLayout {
  Index columns = 2, rows = 2;  ///< 2, 2: 4:2:0; 2, 1: 4:2:2; 1, 1: 4:4:4 …; 0, 0: no colour
  bool full_range = false;      ///< 0 to 255; otherwise 16 to 235, of the colours to 240

  Index chroma_width(Index width) const { return columns == 0 ? 0 : (width + columns - 1) / columns; }
  Index chroma_height(Index height) const { return rows == 0 ? 0 : (height + rows - 1) / rows; }
  /// Of all three planes, one behind the other.
  std::size_t bytes(Index width, Index height) const {
    return static_cast<std::size_t>(width * height + 2 * chroma_width(width) * chroma_height(height));
  }
};

/// The planes of a picture in RGB, rows without gaps: Y, Cb, Cr. Colours of pixels that share a value are
/// averaged.
std::string to_yuv(const Image& image, const YuvLayout& layout);

/// The picture of planes that lie so; `planes` has `layout.bytes(width, height)` of them.
Image from_yuv(std::span<const std::uint8_t> planes, Index width, Index height, const YuvLayout& layout);

}  // namespace daguerre

#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "daguerre/core/shape.hpp"

namespace daguerre {

/// What a PNG file says of its picture ahead of the pixels (ISO/IEC 15948, 11.2.2).
struct PngHeader {
  Index width = 0;
  Index height = 0;
  int depth = 0;
  int colour_type = 0;            ///< 0 grey, 2 colour, 3 palette, 4 grey with alpha, 6 colour with alpha
  bool has_transparency = false;  ///< by a chunk tRNS
  int orientation = 1;            ///< EXIF's
};

/// Nothing when the file has no PNG header. The orientation is in a chunk eXIf, or in the texts "exif", "Raw
/// profile type exif" (ImageMagick's) or "XML:com.adobe.xmp", as Pillow finds it; chunks that are malformed
/// say nothing. Linear in the size of the file.
std::optional<PngHeader> read_png_header(std::span<const std::byte> file);

}  // namespace daguerre

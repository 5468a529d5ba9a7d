#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "daguerre/core/shape.hpp"

namespace daguerre {

/// What a JPEG file says of its picture ahead of the pixels (ITU-T T.81, annex B).
struct JpegHeader {
  Index width = 0;
  Index height = 0;
  int bits = 0;        ///< of a sample
  unsigned frame = 0;  ///< its marker's second byte: 0xC0 baseline, 0xC2 progressive …
  bool has_jfif = false;
  std::optional<int> adobe_transform;  ///< of the colours, where Adobe's segment says it
  int orientation = 1;                 ///< EXIF's, or where that says nothing XMP's
};

/// Nothing when the file is no JPEG file with a frame. Reads as far as the first scan.
std::optional<JpegHeader> read_jpeg_header(std::span<const std::byte> file);

}  // namespace daguerre

#pragma once

#include <optional>
#include <string_view>

#include "daguerre/media/image.hpp"

/// How cameras say which way up a picture is: the tag Orientation (0x0112) of EXIF (CIPA DC-008, 4.6.4), 1 to
/// 8, or `tiff:Orientation` of XMP. Read as Pillow reads them; what is malformed says nothing.
namespace daguerre {

inline constexpr std::string_view exif_prefix("Exif\0\0", 6);

/// The orientation in EXIF data: a TIFF header and its first directory, with or without "Exif\0\0" in front.
std::optional<int> exif_orientation(std::string_view exif);
/// The orientation that an XMP packet names.
std::optional<int> xmp_orientation(std::string_view xmp);

/// The picture the right way up, as PIL's ImageOps.exif_transpose turns and mirrors it: from 5 on width and
/// height change places. Other orientations than 2 to 8 change nothing.
Image turned_upright(Image image, int orientation);

}  // namespace daguerre

#pragma once

#include <string>
#include <string_view>

namespace daguerre {

/// EXIF data (CIPA DC-008, a big-endian TIFF structure) that holds nothing but a UserComment, as web UIs keep
/// their settings in JPEG and WebP files: "UNICODE", then UTF-16, the higher byte first.
std::string exif_with_comment(std::string_view utf8);

/// The UserComment of EXIF data, with or without "Exif\0\0" in front, as UTF-8; empty where there is none or
/// it is malformed.
std::string exif_comment(std::string_view exif);

}  // namespace daguerre

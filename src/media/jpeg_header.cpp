#include "media/jpeg_header.hpp"

#include <algorithm>
#include <string>
#include <string_view>

#include "media/bytes.hpp"
#include "media/orientation.hpp"

namespace daguerre {
namespace {

constexpr std::string_view jfif_prefix("JFIF\0", 5);
constexpr std::string_view xmp_prefix("http://ns.adobe.com/xap/1.0/\0", 29);
constexpr std::string_view adobe_prefix = "Adobe";
constexpr std::size_t jfif_size = 14, adobe_size = 12;

bool is_frame_marker(unsigned marker) {
  return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

/// Reads beyond the end as zeros.
unsigned jpeg_byte(std::string_view data, std::size_t i) {
  return i < data.size() ? static_cast<unsigned char>(data[i]) : 0;
}

unsigned jpeg_pair(std::string_view data, std::size_t i) {
  return jpeg_byte(data, i) << 8 | jpeg_byte(data, i + 1);
}

}  // namespace

std::optional<JpegHeader> read_jpeg_header(std::span<const std::byte> bytes) {
  const std::string_view file = as_text(bytes);
  if (!file.starts_with("\xFF\xD8\xFF")) return std::nullopt;
  JpegHeader header;
  std::string exif;
  std::string_view xmp;
  std::size_t at = 2;
  while (at + 4 <= file.size()) {
    const unsigned marker = jpeg_byte(file, at + 1);
    // Anything else is skipped byte by byte to the next marker that has data.
    if (jpeg_byte(file, at) != 0xFF || marker < 0xC0 || marker == 0xFF ||
        (marker >= 0xD0 && marker <= 0xD9)) {
      ++at;
      continue;
    }
    if (marker == 0xDA) break;
    const std::size_t length = std::max(2u, jpeg_pair(file, at + 2));
    const std::string_view data = file.substr(at + 4, length - 2);
    at += 2 + length;
    if (is_frame_marker(marker) && header.frame == 0) {
      header.frame = marker;
      header.bits = static_cast<int>(jpeg_byte(data, 0));
      header.height = jpeg_pair(data, 1);
      header.width = jpeg_pair(data, 3);
    }
    if (marker == 0xE0 && data.starts_with(jfif_prefix) && data.size() >= jfif_size) header.has_jfif = true;
    if (marker == 0xE1 && data.starts_with(exif_prefix))
      exif += data.substr(exif.empty() ? 0 : exif_prefix.size());
    if (marker == 0xE1 && data.starts_with(xmp_prefix)) xmp = data.substr(xmp_prefix.size());
    if (marker == 0xEE && data.starts_with(adobe_prefix) && data.size() >= adobe_size)
      header.adobe_transform = static_cast<int>(jpeg_byte(data, adobe_size - 1));
  }
  if (header.frame == 0) return std::nullopt;
  auto orientation = exif_orientation(exif);
  if (!orientation) orientation = xmp_orientation(xmp);
  header.orientation = orientation.value_or(1);
  return header;
}

}  // namespace daguerre

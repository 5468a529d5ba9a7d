#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "daguerre/core/error.hpp"
#include "daguerre/media/image.hpp"

namespace daguerre {

/// Larger files are refused.
inline constexpr std::uintmax_t picture_file_limit = std::uintmax_t{256} << 20;

/// Whether a picture may have that size.
bool is_permitted(Index width, Index height) noexcept;
/// "the limit is …"
std::string limit_text();

/// A picture's file in memory, as the readers of the formats are given it.
struct PictureFile {
  std::span<const std::byte> bytes;
  std::string_view name;  ///< for messages

  /// What is wrong with the file, to be thrown.
  FormatError error(const std::string& message) const {
    return FormatError("image", std::string(name) + ": " + message);
  }
  /// Throws FormatError unless pictures may be that large. To be asked before anything is decoded.
  void check_size(Index width, Index height) const;
};

// The readers. They throw FormatError. Those of libraries that were not found are not there.
Image read_png(const PictureFile& file);
Image read_jpeg(const PictureFile& file);
Image read_bmp(const PictureFile& file);
Image read_gif(const PictureFile& file);
Image read_netpbm(const PictureFile& file);
Image read_webp(const PictureFile& file);
Image read_tiff(const PictureFile& file);

/// `light` of what the ink leaves, of CMYK as Pillow rounds it; both are 255 where there is no ink.
inline std::uint8_t light_after_ink(unsigned ink, unsigned light) {
  const unsigned product = (255 - ink) * light + 128;
  const unsigned taken = ((product >> 8) + product) >> 8;
  return static_cast<std::uint8_t>(light > taken ? light - taken : 0);
}

}  // namespace daguerre

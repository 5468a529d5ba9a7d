#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "media/picture_file.hpp"

/// Chunks of WebP files (RFC 9649, 2.3), and the frames in them.
namespace daguerre {

inline constexpr std::size_t webp_header = 12, webp_chunk_header = 8, webp_frame_header = 16;
inline constexpr unsigned webp_animation_flag = 0x02, webp_exif_flag = 0x08, webp_alpha_flag = 0x10;

struct WebpChunk {
  std::string_view type, data, whole;
};

/// Takes the first chunk off `rest`; nothing where there is no whole one.
std::optional<WebpChunk> take_webp_chunk(std::string_view& rest);
/// A whole chunk.
std::string webp_chunk(std::string_view type, std::string_view data);

/// The number in the first `count` bytes, the lowest first.
std::uint32_t little_endian(std::string_view bytes, std::size_t count);
std::string little_endian_text(std::uint64_t value, int bytes);

/// A chunk ANMF: a picture, and how it is shown.
struct WebpFrame {
  Index left = 0, top = 0, width = 0, height = 0;
  std::uint32_t milliseconds = 0;
  bool blend = false, clears = false;
  std::string_view chunks;  ///< of the picture
};
/// Reads its header; `data` has that many bytes.
WebpFrame read_webp_frame(std::string_view data);

/// A still picture's file, as libwebp decodes it: RGBA where it has alpha or `with_alpha`, else RGB. Throws
/// FormatError.
Image decode_webp(const PictureFile& file, bool with_alpha);
/// The frame's own picture, in RGBA. `file` is the whole, for messages.
Image decode_webp_part(const PictureFile& file, const WebpFrame& frame);

}  // namespace daguerre

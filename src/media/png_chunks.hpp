#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// Chunks of PNG files (ISO/IEC 15948, 5.3): length, type, data, checksum.
namespace daguerre {

inline constexpr std::size_t png_chunk_frame = 12;  // what a chunk has beside its data

struct PngChunk {
  std::string_view type, data;
};

/// Takes the first chunk off `rest`; nothing where there is no whole one. Its checksum is not looked at.
std::optional<PngChunk> take_png_chunk(std::string_view& rest);

/// CRC-32 (ISO 3309).
std::uint32_t png_crc32(std::string_view bytes);

/// A number of four bytes, the highest first.
std::string big_endian_text(std::uint32_t value);

/// A whole chunk.
std::string png_chunk(std::string_view type, std::string_view data);

}  // namespace daguerre

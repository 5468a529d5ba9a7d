#include "media/png_chunks.hpp"

#include <array>

#include "media/bytes.hpp"

namespace daguerre {
namespace {

constexpr std::array<std::uint32_t, 256> crc_table = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0xEDB88320u : 0u);
    table[i] = value;
  }
  return table;
}();

}  // namespace

std::optional<PngChunk> take_png_chunk(std::string_view& rest) {
  if (rest.size() < png_chunk_frame) return std::nullopt;
  const std::size_t length = big_endian(rest);
  if (length > rest.size() - png_chunk_frame) return std::nullopt;
  const PngChunk chunk{rest.substr(4, 4), rest.substr(8, length)};
  rest.remove_prefix(png_chunk_frame + length);
  return chunk;
}

std::uint32_t png_crc32(std::string_view bytes) {
  std::uint32_t crc = 0xFFFFFFFFu;
  for (const char byte : bytes) crc = crc_table[(crc ^ static_cast<unsigned char>(byte)) & 0xFF] ^ (crc >> 8);
  return ~crc;
}

std::string big_endian_text(std::uint32_t value) {
  std::string text;
  for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(value >> shift & 0xFF);
  return text;
}

std::string png_chunk(std::string_view type, std::string_view data) {
  std::string typed(type);
  typed += data;
  return big_endian_text(static_cast<std::uint32_t>(data.size())) + typed + big_endian_text(png_crc32(typed));
}

}  // namespace daguerre

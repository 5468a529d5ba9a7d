#include "media/png_header.hpp"

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>

#include "media/bytes.hpp"
#include "media/orientation.hpp"
#include "media/png_chunks.hpp"
#include "media/stb.hpp"

namespace daguerre {
namespace {

constexpr std::size_t png_header_size = 13;
// Pillow reads no compressed text that is longer.
constexpr std::size_t compressed_text_limit = std::size_t{1} << 20;

/// What stands before the first NUL, which is taken off `data` with it; everything where there is none.
std::string_view take_until_nul(std::string_view& data) {
  const std::size_t end = std::min(data.find('\0'), data.size());
  const std::string_view taken = data.substr(0, end);
  data.remove_prefix(std::min(end + 1, data.size()));
  return taken;
}

bool is_text_chunk(const PngChunk& chunk) {
  return chunk.type == "tEXt" || chunk.type == "zTXt" || chunk.type == "iTXt";
}

/// The text of a text chunk; empty where it is malformed.
std::string text_of(PngChunk chunk) {
  auto& data = chunk.data;
  take_until_nul(data);  // keyword
  bool compressed = chunk.type == "zTXt";
  if (chunk.type == "iTXt") {
    compressed = data.starts_with('\1');
    data.remove_prefix(std::min<std::size_t>(1, data.size()));
  }
  if (chunk.type != "tEXt") data.remove_prefix(std::min<std::size_t>(1, data.size()));  // method
  if (chunk.type == "iTXt") {
    take_until_nul(data);  // language
    take_until_nul(data);  // translated keyword
  }
  if (!compressed) return std::string(data);
  // Deflate cannot do better than 1032 to 1.
  std::string text(std::min(compressed_text_limit, data.size() * 1032 + 64), '\0');
  text.resize(stb::inflate(std::as_bytes(std::span(data)), text).value_or(0));
  return text;
}

/// What ImageMagick's "raw profile" holds: three lines (empty, name, size), then hexadecimal digits.
std::string raw_profile(std::string_view text) {
  for (int line = 0; line < 3; ++line)
    text.remove_prefix(std::min(std::min(text.find('\n'), text.size()) + 1, text.size()));
  std::string digits, bytes;
  for (const char c : text)
    if (std::string_view(" \t\r\n\v\f").find(c) == std::string_view::npos) digits += c;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    unsigned char byte = 0;
    const char* const end = digits.data() + i + 2;
    if (std::from_chars(digits.data() + i, end, byte, 16).ptr != end) return {};
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

/// Of each kind the last chunk counts; only what counts is decompressed.
void read_chunks(std::string_view chunks, PngHeader& header) {
  std::optional<std::string_view> exif;
  std::optional<PngChunk> profile, xmp;
  while (const auto chunk = take_png_chunk(chunks)) {
    if (chunk->type == "IEND") break;
    if (chunk->type == "tRNS") header.has_transparency = true;
    if (chunk->type == "eXIf") exif = chunk->data;
    if (!is_text_chunk(*chunk)) continue;
    std::string_view value = chunk->data;
    const std::string_view keyword = take_until_nul(value);
    if (keyword == "exif" && chunk->type == "tEXt") exif = value;
    if (keyword == "Raw profile type exif") profile = chunk;
    if (keyword == "XML:com.adobe.xmp") xmp = chunk;
  }
  std::optional<int> orientation;
  if (exif)
    orientation = exif_orientation(*exif);
  else if (profile)
    orientation = exif_orientation(raw_profile(text_of(*profile)));
  if (!orientation && xmp) orientation = xmp_orientation(text_of(*xmp));
  header.orientation = orientation.value_or(1);
}

}  // namespace

std::optional<PngHeader> read_png_header(std::span<const std::byte> file) {
  std::string_view rest = as_text(file);
  if (!rest.starts_with(png_signature)) return std::nullopt;
  rest.remove_prefix(png_signature.size());
  const auto first = take_png_chunk(rest);
  if (!first || first->type != "IHDR" || first->data.size() != png_header_size) return std::nullopt;
  PngHeader header;
  header.width = big_endian(first->data);
  header.height = big_endian(first->data.substr(4));
  header.depth = static_cast<unsigned char>(first->data[8]);
  header.colour_type = static_cast<unsigned char>(first->data[9]);
  read_chunks(rest, header);
  return header;
}

}  // namespace daguerre

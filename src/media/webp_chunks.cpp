#include "media/webp_chunks.hpp"

#if DAGUERRE_HAS_WEBP

#include <algorithm>

#include <webp/decode.h>

namespace daguerre {

std::uint32_t little_endian(std::string_view bytes, std::size_t count) {
  std::uint32_t value = 0;
  for (std::size_t i = count; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

std::string little_endian_text(std::uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> 8 * i & 0xFF);
  return text;
}

std::optional<WebpChunk> take_webp_chunk(std::string_view& rest) {
  if (rest.size() < webp_chunk_header) return std::nullopt;
  const std::size_t size = little_endian(rest.substr(4), 4);
  if (size > rest.size() - webp_chunk_header) return std::nullopt;
  const std::size_t padded = std::min(webp_chunk_header + size + size % 2, rest.size());
  const WebpChunk chunk{rest.substr(0, 4), rest.substr(webp_chunk_header, size), rest.substr(0, padded)};
  rest.remove_prefix(padded);
  return chunk;
}

std::string webp_chunk(std::string_view type, std::string_view data) {
  std::string chunk(type);
  chunk += little_endian_text(data.size(), 4);
  chunk += data;
  if (data.size() % 2 != 0) chunk += '\0';
  return chunk;
}

WebpFrame read_webp_frame(std::string_view data) {
  const auto number = [&](std::size_t at) { return Index{little_endian(data.substr(at), 3)}; };
  const unsigned flags = static_cast<unsigned char>(data[15]);
  return {.left = 2 * number(0),
          .top = 2 * number(3),
          .width = 1 + number(6),
          .height = 1 + number(9),
          .milliseconds = little_endian(data.substr(12), 3),
          .blend = (flags & 2) == 0,
          .clears = (flags & 1) != 0,
          .chunks = data.substr(webp_frame_header)};
}

Image decode_webp(const PictureFile& file, bool with_alpha) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(file.bytes.data());
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(bytes, file.bytes.size(), &features) != VP8_STATUS_OK)
    throw file.error("is not a WebP picture with a valid header");
  file.check_size(features.width, features.height);
  const bool has_alpha = with_alpha || features.has_alpha != 0;
  Image image(features.width, features.height, has_alpha ? 4 : 3);
  const auto stride = static_cast<int>(image.width() * image.channels());
  const auto* decoded = (has_alpha ? WebPDecodeRGBAInto : WebPDecodeRGBInto)(
      bytes, file.bytes.size(), image.pixels().data(), image.pixels().size(), stride);
  if (decoded == nullptr) throw file.error("cannot be decoded: the WebP picture is malformed or cut short");
  return image;
}

Image decode_webp_part(const PictureFile& file, const WebpFrame& frame) {
  // libwebp reads it as a file of its own, which says of alpha what the frame has.
  std::string_view rest = frame.chunks;
  std::string chunks, alpha;
  while (const auto chunk = take_webp_chunk(rest)) {
    if (chunk->type == "ALPH") alpha = chunk->whole;
    if (chunk->type == "VP8 " || chunk->type == "VP8L") chunks += chunk->whole;
  }
  std::string still = "WEBP";
  if (!alpha.empty())
    still += "VP8X" + little_endian_text(10, 4) + little_endian_text(webp_alpha_flag, 4) +
             little_endian_text(static_cast<std::uint64_t>(frame.width - 1), 3) +
             little_endian_text(static_cast<std::uint64_t>(frame.height - 1), 3) + alpha;
  still += chunks;
  still = "RIFF" + little_endian_text(still.size(), 4) + still;
  return decode_webp({std::as_bytes(std::span(still)), file.name}, true);
}

}  // namespace daguerre

#endif

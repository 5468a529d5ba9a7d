#include "media/picture_file.hpp"

#if DAGUERRE_HAS_WEBP

#include <optional>
#include <string>

#include <webp/decode.h>

#include "media/bytes.hpp"
#include "media/orientation.hpp"

// WebP files (RFC 9649) by libwebp, with its defaults as Pillow uses it; of animations the first frame on a
// transparent canvas. The container's chunks that say more than the pixels are read here.

namespace daguerre {
namespace {

constexpr std::size_t webp_header = 12, webp_chunk_header = 8, webp_frame_header = 16;
constexpr unsigned webp_animation_flag = 0x02, webp_alpha_flag = 0x10;

std::uint32_t little_endian(std::string_view bytes, std::size_t count) {
  std::uint32_t value = 0;
  for (std::size_t i = count; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

struct WebpChunk {
  std::string_view type, data, whole;
};

/// Takes the first chunk off `rest`; nothing where there is no whole one.
std::optional<WebpChunk> take_webp_chunk(std::string_view& rest) {
  if (rest.size() < webp_chunk_header) return std::nullopt;
  const std::size_t size = little_endian(rest.substr(4), 4);
  if (size > rest.size() - webp_chunk_header) return std::nullopt;
  const std::size_t padded = std::min(webp_chunk_header + size + size % 2, rest.size());
  const WebpChunk chunk{rest.substr(0, 4), rest.substr(webp_chunk_header, size), rest.substr(0, padded)};
  rest.remove_prefix(padded);
  return chunk;
}

std::string little_endian_text(std::size_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> 8 * i & 0xFF);
  return text;
}

/// What a file says beside its pixels.
struct WebpContainer {
  Index width = 0, height = 0;  ///< of the canvas, where it is an animation
  bool has_alpha = false;
  int orientation = 1;
  std::optional<std::string_view> frame;  ///< the first one's chunk, of an animation
};

WebpContainer read_webp_container(std::string_view file) {
  WebpContainer result;
  std::string_view rest = file.substr(std::min(webp_header, file.size()));
  bool is_animated = false;
  while (const auto chunk = take_webp_chunk(rest)) {
    if (chunk->type == "VP8X" && chunk->data.size() >= 10) {
      const unsigned flags = static_cast<unsigned char>(chunk->data[0]);
      is_animated = (flags & webp_animation_flag) != 0;
      result.has_alpha = (flags & webp_alpha_flag) != 0;
      result.width = Index{1} + little_endian(chunk->data.substr(4), 3);
      result.height = Index{1} + little_endian(chunk->data.substr(7), 3);
    }
    if (chunk->type == "ANMF" && is_animated && !result.frame && chunk->data.size() >= webp_frame_header)
      result.frame = chunk->data;
    if (chunk->type == "EXIF") result.orientation = exif_orientation(chunk->data).value_or(1);
  }
  return result;
}

/// A still picture's file; `name` of the whole is kept for messages.
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

/// The first frame of an animation where it lies on the canvas.
Image decode_webp_frame(const PictureFile& file, const WebpContainer& container) {
  const std::string_view frame = *container.frame;
  const Index left = Index{2} * little_endian(frame, 3), top = Index{2} * little_endian(frame.substr(3), 3);
  const std::size_t columns = little_endian(frame.substr(6), 3), rows = little_endian(frame.substr(9), 3);
  file.check_size(container.width, container.height);
  std::string_view rest = frame.substr(webp_frame_header);
  // libwebp reads it as a file of its own, which says of alpha what the frame has.
  std::string chunks, alpha;
  while (const auto chunk = take_webp_chunk(rest)) {
    if (chunk->type == "ALPH") alpha = chunk->whole;
    if (chunk->type == "VP8 " || chunk->type == "VP8L") chunks += chunk->whole;
  }
  std::string still = "WEBP";
  if (!alpha.empty())
    still += "VP8X" + little_endian_text(10, 4) + little_endian_text(webp_alpha_flag, 4) +
             little_endian_text(columns, 3) + little_endian_text(rows, 3) + alpha;
  still += chunks;
  still = "RIFF" + little_endian_text(still.size(), 4) + still;
  const Image part = decode_webp({std::as_bytes(std::span(still)), file.name}, true);
  if (left + part.width() > container.width || top + part.height() > container.height)
    throw file.error("cannot be decoded: a WebP frame reaches beyond the picture");
  Image image(container.width, container.height, 4);
  for (Index y = 0; y < part.height(); ++y)
    std::copy_n(part.pixels().data() + y * part.width() * 4, part.width() * 4,
                image.pixels().data() + ((top + y) * image.width() + left) * 4);
  return container.has_alpha ? image : image.to_channels(3);
}

}  // namespace

Image read_webp(const PictureFile& file) {
  const auto container = read_webp_container(as_text(file.bytes));
  return turned_upright(container.frame ? decode_webp_frame(file, container) : decode_webp(file, false),
                        container.orientation);
}

}  // namespace daguerre

#endif

#include "media/picture_file.hpp"

#if DAGUERRE_HAS_WEBP

#include <algorithm>
#include <optional>

#include "media/bytes.hpp"
#include "media/orientation.hpp"
#include "media/webp_chunks.hpp"

// WebP files (RFC 9649) by libwebp, with its defaults as Pillow uses it; of animations the first frame on a
// transparent canvas. The container's chunks that say more than the pixels are read here.

namespace daguerre {
namespace {

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

/// The first frame of an animation where it lies on the canvas.
Image decode_webp_frame(const PictureFile& file, const WebpContainer& container) {
  file.check_size(container.width, container.height);
  const auto frame = read_webp_frame(*container.frame);
  const Image part = decode_webp_part(file, frame);
  if (frame.left + part.width() > container.width || frame.top + part.height() > container.height)
    throw file.error("cannot be decoded: a WebP frame reaches beyond the picture");
  Image image(container.width, container.height, 4);
  for (Index y = 0; y < part.height(); ++y)
    std::copy_n(part.pixels().data() + y * part.width() * 4, part.width() * 4,
                image.pixels().data() + ((frame.top + y) * image.width() + frame.left) * 4);
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

#include <cstdint>
#include <span>
#include <string_view>

#include "daguerre/core/error.hpp"
#include "daguerre/media/image.hpp"
#include "media/jpeg_header.hpp"
#include "media/png_header.hpp"

namespace {

constexpr daguerre::Index largest = 255;

/// Whether the picture is one that takes no time.
bool is_small(std::span<const std::byte> file) {
  const auto fits = [](const auto& header) {
    return !header || (header->width <= largest && header->height <= largest);
  };
  const auto is_zero = [&](std::size_t i) { return i >= file.size() || file[i] == std::byte{0}; };
  // The upper bytes of a GIF picture's sides; others are as long as their pixels, or their libraries'
  // business.
  if (daguerre::image_format(file) == "GIF") return is_zero(7) && is_zero(9);
  if (daguerre::image_format(file) != "BMP")
    return fits(daguerre::read_png_header(file)) && fits(daguerre::read_jpeg_header(file));
  // The upper bytes of the sides, in the long headers and in the short one.
  return is_zero(19) && is_zero(20) && is_zero(21) && is_zero(23) && is_zero(24) && is_zero(25);
}

}  // namespace

// A picture file, its text and its pixels. Large pictures are only slow.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto file = std::as_bytes(std::span(data, size));
  try {
    (void)daguerre::decode_png_text(file, "fuzz");
  } catch (const daguerre::Error&) {
  }
  if (!is_small(file)) return 0;
  try {
    (void)daguerre::Image::decode(file, "fuzz");
  } catch (const daguerre::Error&) {
  }
  return 0;
}

#include <cstdint>
#include <span>

#include "daguerre/error.hpp"
#include "daguerre/pipeline/image.hpp"

// A picture file, its text and its pixels. Large pictures are only slow.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto file = std::as_bytes(std::span(data, size));
  try {
    (void)daguerre::decode_png_text(file, "fuzz");
  } catch (const daguerre::Error&) {
  }
  // The bytes of a PNG's width and height above 255.
  for (const std::size_t i : {16u, 17u, 18u, 20u, 21u, 22u})
    if (i < size && data[0] == 0x89 && data[i] != 0) return 0;
  try {
    (void)daguerre::Image::decode(file, "fuzz");
  } catch (const daguerre::Error&) {
  }
  return 0;
}

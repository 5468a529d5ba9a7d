#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "daguerre/tensor/shape.hpp"

/// What this library takes from stb. Only stb.cpp sees stb itself, with static symbols, so that a host
/// program may have its own copy. Thread-safe.
namespace daguerre::stb {

struct ImageInfo {
  Index width = 0;
  Index height = 0;
  int channels = 0;  ///< 2 is grey with alpha
};

/// Whether every Huffman table of a JPEG file has 256 symbols at most; true for other files. stb_image up
/// to 2.27 writes behind its arrays otherwise, so this must be asked before any of the functions below. It
/// walks the file as stb does: segments are skipped by their length, anything else byte by byte to the next
/// marker.
bool huffman_tables_fit(std::span<const std::byte> file);

/// The header of a PNG, JPEG or BMP file of at most 2 GiB; nothing when it is none of them.
std::optional<ImageInfo> image_info(std::span<const std::byte> file);

/// The file's pixels with `channels` (1, 3 or 4) channels; `info` is what `image_info` says. Returns what is
/// wrong with the file, empty when nothing is. `pixels` is asked for room of the right size once the picture
/// is decoded. No more memory is taken than a picture of that size can need.
std::string decode_image(std::span<const std::byte> file, const ImageInfo& info, int channels,
                         const std::function<std::span<std::uint8_t>()>& pixels);

/// A PNG file without text. Throws std::bad_alloc.
std::vector<std::byte> encode_png(std::span<const std::uint8_t> pixels, Index width, Index height,
                                  Index channels);

/// Decompresses a zlib stream into `out`; the number of bytes written, or nothing when the stream is
/// malformed or `out` is too small. Both sizes must be below 2 GiB.
std::optional<std::size_t> inflate(std::span<const std::byte> zlib, std::span<char> out);

}  // namespace daguerre::stb

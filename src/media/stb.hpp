#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "daguerre/core/shape.hpp"

/// What this library takes from stb. Only stb.cpp sees stb itself, with static symbols, so that a host
/// program may have its own copy. Thread-safe.
namespace daguerre::stb {

/// How samples of 16 bits become 8.
enum class Depth {
  upper_8,     ///< the upper byte
  clipped_16,  ///< grey as it is, at most 255, as Pillow converts its mode "I;16"; of alpha the upper byte
};

/// The pixels of a PNG file of at most 2 GiB with `channels` (1, 3 or 4) channels; `width` and `height` are
/// what its header says. Returns what is wrong with the file, empty when nothing is. `pixels` is asked for
/// room once the picture is decoded. No more memory is taken than a picture of that size can need.
std::string decode_png(std::span<const std::byte> file, Index width, Index height, int channels, Depth depth,
                       const std::function<std::span<std::uint8_t>()>& pixels);

/// A PNG file without text. Throws std::bad_alloc.
std::vector<std::byte> encode_png(std::span<const std::uint8_t> pixels, Index width, Index height,
                                  Index channels);

/// Decompresses a zlib stream into `out`; the number of bytes written, or nothing when the stream is
/// malformed or `out` is too small. Both sizes must be below 2 GiB.
std::optional<std::size_t> inflate(std::span<const std::byte> zlib, std::span<char> out);
/// The same of a deflate stream alone (RFC 1951), as archives have them.
std::optional<std::size_t> inflate_raw(std::span<const std::byte> deflated, std::span<char> out);

}  // namespace daguerre::stb

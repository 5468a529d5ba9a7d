#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "media/picture_file.hpp"

/// The LZW codes of GIF files, of up to 12 bits, in blocks of at most 255 bytes.
namespace daguerre {

/// Expands what `data` begins with (the byte that says how many bits a pixel has, then blocks) to the pixels
/// of `room`; what is missing at the end stays as it was. Throws FormatError in the name of the file.
void expand_gif_codes(const PictureFile& file, std::string_view data, std::span<std::uint8_t> room);

/// That for pixels below 2^bits, bits being 2 to 8, with the blocks' end.
std::string gif_codes(std::span<const std::uint8_t> pixels, int bits);

/// The row of the picture that the `n`-th stored one is.
std::vector<Index> gif_rows(Index height, bool is_interlaced);

}  // namespace daguerre

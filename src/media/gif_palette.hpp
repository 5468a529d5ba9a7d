#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daguerre/media/image.hpp"

namespace daguerre {

/// At most 256 colours for a frame in RGB. A frame of no more colours keeps them; of others they are chosen
/// by median cut (Heckbert 1982) and mixed by ordered dithering (Bayer's 8 x 8 matrix), which stays where it
/// is from frame to frame, so that what rests does not flicker.
class GifPalette {
 public:
  explicit GifPalette(const Image& frame);

  /// An index for each pixel, where all the frame's colours are in the palette.
  std::optional<std::vector<std::uint8_t>> exact_indices(const Image& frame) const;
  /// An index for each pixel of the frame; colours that are not there are mixed of those that are.
  std::vector<std::uint8_t> indices(const Image& frame) const;
  /// How many bits an index takes, 2 to 8.
  int bits() const noexcept { return bits_; }
  /// The colour table as it stands in files: 3 bytes for each of 2^bits colours.
  std::string table() const;
  const std::array<std::uint8_t, 3>& colour(std::size_t index) const { return colours_[index]; }

 private:
  void cut(const Image& frame);
  std::size_t nearest(int red, int green, int blue) const;

  std::vector<std::array<std::uint8_t, 3>> colours_;
  std::vector<std::uint32_t> sorted_;  ///< colour << 8 | index
  int bits_ = 2;
  int spread_ = 0;  ///< how far dithering goes to both sides of a colour, together
};

}  // namespace daguerre

#pragma once

#include <vector>

#include "daguerre/core/tensor.hpp"
#include "daguerre/media/image.hpp"

/// A picture made tile by tile, row of tiles after row, whose tiles overlap.
namespace daguerre {

/// A tile's place in the picture that is cut up.
struct PictureTile {
  Index left = 0, top = 0, width = 0, height = 0;
};

/// One axis of a tile: where it begins and ends, and, where it has neighbours, the band that it fades in over
/// and the one it fades out over. Outside of them it counts all or nothing.
struct TileSpan {
  Index begin = 0, end = 0;
  Index in_begin = 0, in_end = 0;    ///< it counts nothing before; equal to `begin` without a neighbour
  Index out_begin = 0, out_end = 0;  ///< it counts nothing behind; equal to `end` without a neighbour

  Index size() const noexcept { return end - begin; }
  TileSpan scaled(Index factor) const noexcept;
  /// What the element `i` counts; over all tiles that have it, the sum is 1.
  float weight(Index i) const noexcept;
};

/// Throws ArgumentError where such tiles are not possible: negative, or an overlap that leaves no progress.
void check_tiling(const char* who, Index tile, Index overlap, Index multiple);

/// An axis of `size` in spans of `tile`, neighbours sharing `overlap`, of which the outer quarters do not
/// count; a span begins at a multiple of `multiple`. One span where the tile is as large, or 0.
std::vector<TileSpan> tile_spans(Index size, Index tile, Index overlap, Index multiple);

/// Puts tiles together. It holds the rows of one row of tiles as float32, and the picture.
class TileJoiner {
 public:
  TileJoiner(Index width, Index height, Index channels);
  /// `tile[1, H, W, channels]` of values from 0 to 1, at least as large as its spans, which count from the
  /// left and the top. Throws NumericError where one is NaN or infinite, ArgumentError for another shape.
  void add(const Tensor<float>& tile, const TileSpan& column, const TileSpan& row);
  /// The row of tiles is whole.
  void end_row(const TileSpan& row);
  /// The picture, rounded to 8 bits.
  Image take() { return std::move(image_); }

 private:
  Image image_;
  Index first_ = 0;          ///< the picture's row that `sums_` begins with
  std::vector<float> sums_;  ///< rows that are not complete
};

}  // namespace daguerre

#pragma once

#include <vector>

#include "daguerre/core/tensor.hpp"

namespace daguerre {

/// How tiles lie along one side of a picture, and what each weighs where.
struct TileAxis {
  /// What is seen at a tile's ends and how it counts.
  struct Border {
    Index overlap = 0;    ///< what neighbours share at least
    Index margin = 0;     ///< of that, what a tile sees and has no say in
    bool smooth = false;  ///< whether weights rise as 3u² - 2u³, else evenly
  };

  std::vector<Index> begins;
  Index size = 0;  ///< of each tile

  /// Tiles of `tile` that cover `total`, spread evenly, whose begins are multiples of `multiple` (which
  /// divides `tile` and `total`); one, where it all fits.
  static TileAxis of(Index total, Index tile, Index overlap, Index multiple = 1);

  /// For each tile what its `size * ratio` outputs weigh, `ratio` to one position; all tiles together weigh 1
  /// everywhere.
  std::vector<std::vector<float>> weights(Index total, const Border& border, Index ratio = 1) const;
};

/// Adds `tile[N, h, w, C]`, which weighs so much by row and column, to the part of `sum[N, H, W, C]` that
/// begins at (top, left).
void add_weighted(Tensor<float>& sum, const Tensor<float>& tile, Index top, Index left,
                  const std::vector<float>& rows, const std::vector<float>& columns);

}  // namespace daguerre

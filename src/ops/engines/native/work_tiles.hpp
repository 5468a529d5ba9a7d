#pragma once

#include "daguerre/ops/engine.hpp"

/// How products are cut into tiles that one thread computes each. The cut depends on shapes alone, never on
/// the number of threads, so that a result does not either.
namespace daguerre::ops {

/// Multiplications and additions that are worth handing to another thread.
constexpr Index least_tile_flops = 2'000'000;

/// A convolution's output, cut into groups of whole rows of one image.
struct RowTiles {
  Index rows = 0;       ///< of a tile; the last one may have fewer
  Index count = 0;      ///< tiles of an image
  bool joined = false;  ///< all images in one tile: too little work to divide

  /// `output[N, H', W', out]`, `weight[out, in, kh, kw]`.
  static RowTiles of(const Shape& output, const Shape& weight);
};

/// The rows of an image that a tile of a convolution reads.
struct RowWindow {
  Index first_output = 0, outputs = 0;
  Index first_input = 0, inputs = 0;
  int pad_top = 0, pad_bottom = 0;

  /// Tile `index` of an image of `height` rows that `tiles` cut into `output_height` output rows.
  static RowWindow of(const RowTiles& tiles, Index index, Index height, Index output_height,
                      Index kernel_height, const ConvGeometry& geometry);
};

/// A matrix product's result, cut into rectangles.
struct ProductTiles {
  Index rows = 0, columns = 0;  ///< of a tile; the last ones may have fewer
  Index row_tiles = 0, column_tiles = 0;

  /// `[rows, depth]` times `[depth, columns]`; `divisible`: whether the weights can be cut by columns.
  static ProductTiles of(Index rows, Index depth, Index columns, bool divisible);
};

}  // namespace daguerre::ops

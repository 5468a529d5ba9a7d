#pragma once

#include <algorithm>
#include <array>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "daguerre/ops/blend.hpp"
#include "daguerre/ops/rearrange.hpp"

namespace daguerre::models {

/// The part of `x[N, H, W, C]` that begins at (row, column) and is at most height x width.
inline Tensor<float> tile_at(const ops::Context& context, const Tensor<float>& x, Index row, Index column,
                             Index height, Index width) {
  const std::array<Index, 4> begin{0, row, column, 0};
  return ops::crop(
      context, x, begin,
      {x.dim(0), std::min(height, x.dim(1) - row), std::min(width, x.dim(2) - column), x.dim(3)});
}

/// Makes something of a tile `[N, h, w, C]` whose first pixel is at (row, column) of the whole.
using TransformTile = std::function<Tensor<float>(const Tensor<float>& tile, Index row, Index column)>;

/// Applies `transform`, which turns a side of `tile_in` into one of `tile_out`, to overlapping tiles of `x[N,
/// H, W, C]` and joins the results, each blended with the tile above, then with the one to the left
/// (diffusers' tiled_encode and tiled_decode; the neighbours' already blended values are used, as there).
inline Tensor<float> in_placed_tiles(const ops::Context& context, const Tensor<float>& x, Index tile_in,
                                     Index tile_out, double overlap_factor, const TransformTile& transform) {
  const auto stride = static_cast<Index>(static_cast<double>(tile_in) * (1.0 - overlap_factor));
  const auto extent = static_cast<Index>(static_cast<double>(tile_out) * overlap_factor);
  if (tile_in < 1 || tile_out < 1 || stride < 1 || extent < 0 || extent >= tile_out)
    throw ArgumentError("autoencoder", "tiles of " + std::to_string(tile_in) + " and " +
                                           std::to_string(tile_out) + " with an overlap of " +
                                           std::to_string(overlap_factor) + " are not possible");
  if (x.dim(1) <= tile_in && x.dim(2) <= tile_in) return transform(x, 0, 0);
  const Index limit = tile_out - extent;

  std::vector<Tensor<float>> above, lines;  // the previous row of tiles, and the rows joined
  for (Index row = 0; row < x.dim(1); row += stride) {
    std::vector<Tensor<float>> current, kept;
    for (Index column = 0; column < x.dim(2); column += stride) {
      auto tile = transform(tile_at(context, x, row, column, tile_in, tile_in), row, column);
      if (!above.empty()) tile = ops::blend(context, above[current.size()], std::move(tile), 1, extent);
      if (!current.empty()) tile = ops::blend(context, current.back(), std::move(tile), 2, extent);
      kept.push_back(tile_at(context, tile, 0, 0, limit, limit));
      current.push_back(std::move(tile));
    }
    lines.push_back(ops::concat<float>(context, kept, 2));
    above = std::move(current);
  }
  return ops::concat<float>(context, lines, 1);
}

/// The same where it does not matter where a tile is.
inline Tensor<float> in_tiles(const ops::Context& context, const Tensor<float>& x, Index tile_in,
                              Index tile_out, double overlap_factor,
                              const std::function<Tensor<float>(const Tensor<float>&)>& transform) {
  return in_placed_tiles(context, x, tile_in, tile_out, overlap_factor,
                         [&](const Tensor<float>& tile, Index, Index) { return transform(tile); });
}

}  // namespace daguerre::models

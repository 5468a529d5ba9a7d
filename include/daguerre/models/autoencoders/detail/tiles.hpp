#pragma once

#include <algorithm>
#include <array>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "daguerre/ops/blend.hpp"
#include "daguerre/ops/rearrange.hpp"

namespace daguerre::models {

/// Tiles of pictures or of a film's frames, or what becomes of them.
struct TileGrid {
  Index height = 0, width = 0;
  Index stride_height = 0, stride_width = 0;

  /// The grid in units of so many.
  TileGrid divided_by(Index ratio) const {
    return {height / ratio, width / ratio, stride_height / ratio, stride_width / ratio};
  }
  bool holds(const Shape& shape) const { return shape[-3] <= height && shape[-2] <= width; }
};

/// The part of `x[N, H, W, C]` or `x[N, F, H, W, C]` that begins at (row, column) and is at most height x
/// width.
inline Tensor<float> tile_at(const ops::Context& context, const Tensor<float>& x, Index row, Index column,
                             Index height, Index width) {
  std::array<Index, 5> begin{};
  const auto rank = static_cast<std::size_t>(x.rank());
  begin[rank - 3] = row;
  begin[rank - 2] = column;
  auto size = x.shape().with(x.rank() - 3, std::min(height, x.dim(-3) - row));
  size = size.with(x.rank() - 2, std::min(width, x.dim(-2) - column));
  return ops::crop(context, x, std::span(begin).first(rank), size);
}

/// Makes something of a tile whose first pixel is at (row, column) of the whole.
using TransformTile = std::function<Tensor<float>(const Tensor<float>& tile, Index row, Index column)>;

/// Applies `transform`, which makes tiles of the grid `out` of those of `in`, to overlapping tiles of `x[N,
/// H, W, C]` or `x[N, F, H, W, C]` and joins the results, each blended with the tile above, then with the one
/// to the left, over what neighbours in `out` share (diffusers' tiled_encode and tiled_decode; the
/// neighbours' already blended values are used, as there). Throws ArgumentError for grids that are not
/// possible.
inline Tensor<float> in_grid(const ops::Context& context, const Tensor<float>& x, const TileGrid& in,
                             const TileGrid& out, const TransformTile& transform) {
  const auto possible = [](Index size, Index stride) { return stride >= 1 && stride <= size; };
  for (const auto& grid : {in, out})
    if (!possible(grid.height, grid.stride_height) || !possible(grid.width, grid.stride_width))
      throw ArgumentError("autoencoder", "tiles of " + std::to_string(grid.height) + " x " +
                                             std::to_string(grid.width) + ", " +
                                             std::to_string(grid.stride_height) + " and " +
                                             std::to_string(grid.stride_width) + " apart, are not possible");
  const Index blend_height = out.height - out.stride_height, blend_width = out.width - out.stride_width;
  const int rows = x.rank() - 3, columns = x.rank() - 2;
  std::vector<Tensor<float>> above, lines;  // the previous row of tiles, and the rows joined
  for (Index row = 0; row < x.dim(rows); row += in.stride_height) {
    std::vector<Tensor<float>> current, kept;
    for (Index column = 0; column < x.dim(columns); column += in.stride_width) {
      context.check_stop();
      auto tile = transform(tile_at(context, x, row, column, in.height, in.width), row, column);
      if (!above.empty())
        tile = ops::blend(context, above[current.size()], std::move(tile), rows, blend_height);
      if (!current.empty()) tile = ops::blend(context, current.back(), std::move(tile), columns, blend_width);
      kept.push_back(tile_at(context, tile, 0, 0, out.stride_height, out.stride_width));
      current.push_back(std::move(tile));
    }
    lines.push_back(ops::concat<float>(context, kept, columns));
    above = std::move(current);
  }
  return ops::concat<float>(context, lines, rows);
}

/// The same for square tiles of pictures `x[N, H, W, C]`: `transform` turns a side of `tile_in` into one of
/// `tile_out`, of which neighbours share the part `overlap_factor`. A picture that fits is one tile.
inline Tensor<float> in_placed_tiles(const ops::Context& context, const Tensor<float>& x, Index tile_in,
                                     Index tile_out, double overlap_factor, const TransformTile& transform) {
  const auto stride = static_cast<Index>(static_cast<double>(tile_in) * (1.0 - overlap_factor));
  const auto extent = static_cast<Index>(static_cast<double>(tile_out) * overlap_factor);
  if (tile_in < 1 || tile_out < 1 || stride < 1 || extent < 0 || extent >= tile_out)
    throw ArgumentError("autoencoder", "tiles of " + std::to_string(tile_in) + " and " +
                                           std::to_string(tile_out) + " with an overlap of " +
                                           std::to_string(overlap_factor) + " are not possible");
  if (x.dim(1) <= tile_in && x.dim(2) <= tile_in) return transform(x, 0, 0);
  const Index kept = tile_out - extent;
  return in_grid(context, x, {tile_in, tile_in, stride, stride}, {tile_out, tile_out, kept, kept}, transform);
}

/// The same where it does not matter where a tile is.
inline Tensor<float> in_tiles(const ops::Context& context, const Tensor<float>& x, Index tile_in,
                              Index tile_out, double overlap_factor,
                              const std::function<Tensor<float>(const Tensor<float>&)>& transform) {
  return in_placed_tiles(context, x, tile_in, tile_out, overlap_factor,
                         [&](const Tensor<float>& tile, Index, Index) { return transform(tile); });
}

}  // namespace daguerre::models

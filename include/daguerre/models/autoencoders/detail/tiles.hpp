#pragma once

#include <algorithm>
#include <functional>
#include <vector>

#include "daguerre/core/tensor.hpp"

namespace daguerre::models {

/// The part of `x[N, H, W, C]` that begins at (row, column) and is at most height x width.
inline Tensor<float> crop(const Tensor<float>& x, Index row, Index column, Index height, Index width) {
  height = std::min(height, x.dim(1) - row);
  width = std::min(width, x.dim(2) - column);
  const Index channels = x.dim(3);
  Tensor<float> result({x.dim(0), height, width, channels});
  float* out = result.data();
  for (Index n = 0; n < x.dim(0); ++n)
    for (Index i = 0; i < height; ++i)
      out = std::copy_n(x.data() + ((n * x.dim(1) + row + i) * x.dim(2) + column) * channels,
                        width * channels, out);
  return result;
}

/// Fades the first `extent` rows (or columns) of `tile` in from the last ones of its neighbour above (or to
/// the left), in place: weight i / extent for the tile itself.
inline void blend(const Tensor<float>& neighbour, Tensor<float>& tile, Index extent, bool vertical) {
  const int axis = vertical ? 1 : 2;
  extent = std::min({neighbour.dim(axis), tile.dim(axis), extent});
  const Index rows = vertical ? extent : std::min(tile.dim(1), neighbour.dim(1));
  const Index columns = vertical ? std::min(tile.dim(2), neighbour.dim(2)) : extent;
  const Index row_offset = vertical ? neighbour.dim(1) - extent : 0,
              column_offset = vertical ? 0 : neighbour.dim(2) - extent;
  const Index channels = tile.dim(3);
  for (Index n = 0; n < tile.dim(0); ++n)
    for (Index i = 0; i < rows; ++i)
      for (Index j = 0; j < columns; ++j) {
        const float weight = static_cast<float>(vertical ? i : j) / static_cast<float>(extent);
        const float* from =
            neighbour.data() +
            ((n * neighbour.dim(1) + row_offset + i) * neighbour.dim(2) + column_offset + j) * channels;
        float* to = tile.data() + ((n * tile.dim(1) + i) * tile.dim(2) + j) * channels;
        for (Index c = 0; c < channels; ++c) to[c] = from[c] * (1.0f - weight) + to[c] * weight;
      }
}

/// Applies `transform`, which turns a side of `tile_in` into one of `tile_out`, to overlapping tiles of `x[N,
/// H, W, C]` and joins the results, each blended with the tile above, then with the one to the left
/// (diffusers' tiled_encode and tiled_decode; the neighbours' already blended values are used, as there).
inline Tensor<float> in_tiles(const Tensor<float>& x, Index tile_in, Index tile_out, double overlap_factor,
                              const std::function<Tensor<float>(const Tensor<float>&)>& transform) {
  const auto stride = static_cast<Index>(static_cast<double>(tile_in) * (1.0 - overlap_factor));
  const auto extent = static_cast<Index>(static_cast<double>(tile_out) * overlap_factor);
  if (tile_in < 1 || tile_out < 1 || stride < 1 || extent < 0 || extent >= tile_out)
    throw ArgumentError("autoencoder", "tiles of " + std::to_string(tile_in) + " and " +
                                           std::to_string(tile_out) + " with an overlap of " +
                                           std::to_string(overlap_factor) + " are not possible");
  if (x.dim(1) <= tile_in && x.dim(2) <= tile_in) return transform(x);
  const Index limit = tile_out - extent;

  std::vector<Tensor<float>> above,
      parts;  // the previous row of tiles, and every tile cut to what is kept of it
  Index columns = 0;
  for (Index row = 0; row < x.dim(1); row += stride) {
    std::vector<Tensor<float>> current;
    for (Index column = 0; column < x.dim(2); column += stride) {
      auto tile = transform(crop(x, row, column, tile_in, tile_in));
      if (!above.empty()) blend(above[current.size()], tile, extent, true);
      if (!current.empty()) blend(current.back(), tile, extent, false);
      current.push_back(std::move(tile));
      parts.push_back(crop(current.back(), 0, 0, limit, limit));
    }
    columns = static_cast<Index>(current.size());
    above = std::move(current);
  }

  Index height = 0, width = 0;
  for (std::size_t i = 0; i < parts.size(); i += static_cast<std::size_t>(columns)) height += parts[i].dim(1);
  for (Index i = 0; i < columns; ++i) width += parts[static_cast<std::size_t>(i)].dim(2);
  const Index channels = parts[0].dim(3);
  Tensor<float> result({x.dim(0), height, width, channels});
  Index row = 0, column = 0;
  for (std::size_t p = 0; p < parts.size(); ++p) {
    const auto& part = parts[p];
    for (Index n = 0; n < x.dim(0); ++n)
      for (Index i = 0; i < part.dim(1); ++i)
        std::copy_n(part.data() + (n * part.dim(1) + i) * part.dim(2) * channels, part.dim(2) * channels,
                    result.data() + ((n * height + row + i) * width + column) * channels);
    column += part.dim(2);
    if (column == width) column = 0, row += part.dim(1);
  }
  return result;
}

}  // namespace daguerre::models

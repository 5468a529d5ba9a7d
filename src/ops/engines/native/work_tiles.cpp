#include "ops/engines/native/work_tiles.hpp"

#include <algorithm>
#include <limits>

namespace daguerre::ops {
namespace {

// Every tile reads all weights, so it must have pixels enough to pay for them; fewer than `good_pixels` leave
// the caches before the weights do, and more than one tile an image keeps threads busy that are held up by
// others.
constexpr Index good_pixels = 256;
constexpr Index fewest_pixels = 64;
constexpr Index wanted_tiles = 4;
/// Neighbouring tiles both read the rows between them.
constexpr Index fewest_rows = 4;

constexpr Index large_product_flops = 1'000'000'000;
constexpr Index wanted_large_tiles = 8;
constexpr Index row_multiple = 16;
constexpr Index column_multiple = 64;  ///< whole panels of every kernel that oneDNN has

Index divided(Index value, Index by) {
  return (value + by - 1) / by;
}
Index whole_multiple(Index value, Index multiple) {
  return divided(value, multiple) * multiple;
}

}  // namespace

RowTiles RowTiles::of(const Shape& output, const Shape& weight) {
  const Index height = output[1], width = output[2], images = output[0];
  const Index flops = 2 * height * width * weight[0] * weight[1] * weight[2] * weight[3];
  if (images * flops < 2 * least_tile_flops) return {height, 1, true};
  const Index rows_of_good = std::max(good_pixels / width, weight[2] > 1 ? fewest_rows : 1);
  const Index rows_of_fewest = divided(fewest_pixels, width);
  const Index wanted = std::max(divided(height, wanted_tiles), rows_of_fewest);
  const Index affordable = divided(height, std::max<Index>(flops / least_tile_flops, 1));
  const Index rows = std::clamp<Index>(std::max(std::min(rows_of_good, wanted), affordable), 1, height);
  const Index count = divided(height, rows);
  const Index even = divided(height, count);
  return {even, divided(height, even), false};
}

RowWindow RowWindow::of(const RowTiles& tiles, Index index, Index height, Index output_height,
                        Index kernel_height, const ConvGeometry& geometry) {
  RowWindow window;
  window.first_output = index * tiles.rows;
  window.outputs = std::min(tiles.rows, output_height - window.first_output);
  const Index begin = window.first_output * geometry.stride - geometry.pad_top;
  const Index end =
      (window.first_output + window.outputs - 1) * geometry.stride - geometry.pad_top + kernel_height;
  window.first_input = std::clamp<Index>(begin, 0, height - 1);
  window.inputs = std::clamp<Index>(end, window.first_input + 1, height) - window.first_input;
  window.pad_top = static_cast<int>(window.first_input - begin);
  // Where all images are in the tile, the next one begins behind the rows that the last step does not reach.
  if (tiles.joined) window.inputs = height;
  window.pad_bottom = static_cast<int>(std::max<Index>(0, end - window.first_input - window.inputs));
  return window;
}

ProductTiles ProductTiles::of(Index rows, Index depth, Index columns, bool divisible) {
  const Index flops = 2 * rows * depth * columns;
  const Index wanted = std::clamp<Index>(flops / least_tile_flops, 1,
                                         flops < large_product_flops ? wanted_tiles : wanted_large_tiles);
  ProductTiles best{rows, columns, 1, 1};
  double least_copied = std::numeric_limits<double>::infinity();
  for (Index parts = 1; parts <= wanted; ++parts) {
    ProductTiles tiles;
    tiles.columns =
        divisible ? std::min(columns, whole_multiple(divided(columns, parts), column_multiple)) : columns;
    tiles.column_tiles = divided(columns, tiles.columns);
    tiles.rows =
        std::min(rows, whole_multiple(divided(rows, divided(wanted, tiles.column_tiles)), row_multiple));
    tiles.row_tiles = divided(rows, tiles.rows);
    // A tile copies its operands into the order that the kernels read: so much for each multiplication.
    const double copied = 1.0 / static_cast<double>(tiles.rows) + 1.0 / static_cast<double>(tiles.columns);
    const bool is_enough = tiles.row_tiles * tiles.column_tiles >= (wanted + 1) / 2;
    if (is_enough && copied < least_copied) {
      least_copied = copied;
      best = tiles;
    }
  }
  return best;
}

}  // namespace daguerre::ops

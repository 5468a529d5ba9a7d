#include "ops/engines/native/work_tiles.hpp"

#include "support/catch.hpp"

using namespace daguerre;
using namespace daguerre::ops;

TEST_CASE("tiles of a convolution cover each output row once, and read what it needs", "[ops][tiles]") {
  struct Case {
    Index images, height, width, in, out, kernel;
    ConvGeometry geometry;
  };
  const std::vector<Case> cases{
      {2, 64, 64, 320, 320, 3, ConvGeometry::same(1)},    {1, 512, 512, 128, 128, 3, ConvGeometry::same(1)},
      {2, 64, 64, 320, 320, 3, ConvGeometry::same(1, 2)}, {1, 65, 33, 128, 128, 3, {2, 0, 0, 1, 1}},
      {2, 8, 8, 1280, 1280, 3, ConvGeometry::same(1)},    {1, 3, 3, 4, 8, 3, ConvGeometry::same(1)},
      {3, 64, 64, 960, 320, 1, ConvGeometry::same(0)},    {1, 40, 500, 64, 64, 5, ConvGeometry::same(2)},
      {1, 2000, 1, 256, 256, 3, ConvGeometry::same(1)},   {1, 1, 3000, 256, 256, 3, ConvGeometry::same(1)}};
  for (const auto& c : cases) {
    INFO(c.images << " x " << c.height << " x " << c.width << ", " << c.in << " to " << c.out);
    const Index height = c.geometry.output_size(c.height, c.kernel, true),
                width = c.geometry.output_size(c.width, c.kernel, false);
    const auto tiles = RowTiles::of({c.images, height, width, c.out}, {c.out, c.in, c.kernel, c.kernel});
    REQUIRE(tiles.count >= 1);
    Index next = 0;
    for (Index i = 0; i < tiles.count; ++i) {
      const auto window = RowWindow::of(tiles, i, c.height, height, c.kernel, c.geometry);
      CHECK(window.first_output == next);
      CHECK(window.outputs >= 1);
      next += window.outputs;
      // As the whole would be read: the first tap of the first row, and the last of the last.
      CHECK(window.first_input - window.pad_top ==
            window.first_output * c.geometry.stride - c.geometry.pad_top);
      ConvGeometry own = c.geometry;
      own.pad_top = window.pad_top;
      own.pad_bottom = window.pad_bottom;
      CHECK(own.output_size(window.inputs, c.kernel, true) == window.outputs);
      CHECK(window.first_input + window.inputs <= c.height);
      CHECK(window.pad_top <= c.geometry.pad_top);
      CHECK(window.pad_bottom <= c.geometry.pad_bottom);
    }
    CHECK(next == height);
  }
}

TEST_CASE("little work is not divided, and much is", "[ops][tiles]") {
  CHECK(RowTiles::of({2, 8, 8, 16}, {16, 16, 3, 3}).joined);
  CHECK(RowTiles::of({2, 64, 64, 320}, {320, 320, 3, 3}).count >= 8);
  CHECK(RowTiles::of({2, 16, 16, 1280}, {1280, 1280, 3, 3}).count >= 4);
  CHECK(ProductTiles::of(8, 64, 64, true).row_tiles * ProductTiles::of(8, 64, 64, true).column_tiles == 1);
}

TEST_CASE("a tile of several images reads all rows of each", "[ops][tiles]") {
  // The last step of a stride does not reach the last row; the next image begins behind it.
  const ConvGeometry geometry{2, 0, 0, 0, 0};
  const auto tiles = RowTiles::of({3, 8, 8, 4}, {4, 4, 3, 3});
  REQUIRE(tiles.joined);
  const auto window = RowWindow::of(tiles, 0, 18, 8, 3, geometry);
  CHECK(window.inputs == 18);
  CHECK(window.outputs == 8);
  CHECK(window.pad_bottom == 0);
}

TEST_CASE("tiles of a product cover it once", "[ops][tiles]") {
  for (const bool divisible : {false, true})
    for (const Index rows : {1, 2, 63, 77, 128, 154, 512, 8192})
      for (const Index depth : {64, 768, 5120})
        for (const Index columns : {1, 100, 320, 1280, 5120, 10240, 10241}) {
          INFO(rows << " x " << depth << " x " << columns << (divisible ? ", divisible" : ""));
          const auto tiles = ProductTiles::of(rows, depth, columns, divisible);
          CHECK((tiles.row_tiles - 1) * tiles.rows < rows);
          CHECK(tiles.row_tiles * tiles.rows >= rows);
          CHECK((tiles.column_tiles - 1) * tiles.columns < columns);
          CHECK(tiles.column_tiles * tiles.columns >= columns);
          if (!divisible) CHECK(tiles.column_tiles == 1);
          if (2 * rows * depth * columns > 100 * least_tile_flops && (divisible || rows > 128))
            CHECK(tiles.row_tiles * tiles.column_tiles >= 2);
        }
}

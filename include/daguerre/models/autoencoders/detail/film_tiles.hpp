#pragma once

#include <algorithm>
#include <array>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "daguerre/models/autoencoders/film_tiling.hpp"
#include "daguerre/ops/blend.hpp"
#include "daguerre/ops/rearrange.hpp"

namespace daguerre::models {

/// Tiles of a film's frames, or what becomes of them.
struct FilmTileGrid {
  Index height = 0, width = 0;
  Index stride_height = 0, stride_width = 0;

  /// The grid in units of so many.
  FilmTileGrid divided_by(Index ratio) const {
    return {height / ratio, width / ratio, stride_height / ratio, stride_width / ratio};
  }
  bool holds(const Shape& film) const { return film[2] <= height && film[3] <= width; }
};

inline FilmTileGrid grid_of(const FilmTiling& tiling) {
  return {tiling.height, tiling.width, tiling.stride_height, tiling.stride_width};
}

/// The part of `x[N, F, H, W, C]` that begins at (row, column) and is at most height x width.
inline Tensor<float> film_tile_at(const ops::Context& context, const Tensor<float>& x, Index row,
                                  Index column, Index height, Index width) {
  const std::array<Index, 5> begin{0, 0, row, column, 0};
  return ops::crop(
      context, x, begin,
      {x.dim(0), x.dim(1), std::min(height, x.dim(2) - row), std::min(width, x.dim(3) - column), x.dim(4)});
}

/// Applies `transform`, which makes tiles of the grid `out` of those of `in`, to overlapping tiles of
/// `x[N, F, H, W, C]` and joins the results, each blended with the tile above, then with the one to the left,
/// over what neighbours in `out` share (diffusers' tiled_encode and tiled_decode; the neighbours' already
/// blended values are used, as there). What is joined is cut to `height` x `width`. Throws ArgumentError for
/// grids that are not possible.
inline Tensor<float> in_film_tiles(const ops::Context& context, const Tensor<float>& x,
                                   const FilmTileGrid& in, const FilmTileGrid& out, Index height, Index width,
                                   const std::function<Tensor<float>(const Tensor<float>&)>& transform) {
  const auto possible = [](Index size, Index stride) { return stride >= 1 && stride <= size; };
  for (const auto& grid : {in, out})
    if (!possible(grid.height, grid.stride_height) || !possible(grid.width, grid.stride_width))
      throw ArgumentError("autoencoder", "tiles of " + std::to_string(grid.height) + " x " +
                                             std::to_string(grid.width) + ", " +
                                             std::to_string(grid.stride_height) + " and " +
                                             std::to_string(grid.stride_width) + " apart, are not possible");
  const Index blend_height = out.height - out.stride_height, blend_width = out.width - out.stride_width;
  std::vector<Tensor<float>> above, lines;  // the previous row of tiles, and the rows joined
  for (Index row = 0; row < x.dim(2); row += in.stride_height) {
    std::vector<Tensor<float>> current, kept;
    for (Index column = 0; column < x.dim(3); column += in.stride_width) {
      context.check_stop();
      auto tile = transform(film_tile_at(context, x, row, column, in.height, in.width));
      if (!above.empty()) tile = ops::blend(context, above[current.size()], std::move(tile), 2, blend_height);
      if (!current.empty()) tile = ops::blend(context, current.back(), std::move(tile), 3, blend_width);
      kept.push_back(film_tile_at(context, tile, 0, 0, out.stride_height, out.stride_width));
      current.push_back(std::move(tile));
    }
    lines.push_back(ops::concat<float>(context, kept, 3));
    above = std::move(current);
  }
  return film_tile_at(context, ops::concat<float>(context, lines, 2), 0, 0, height, width);
}

/// Groups of frames: how many lie in each behind the one that they share with the group before, and how many
/// lie between the beginnings of two.
struct FrameGroups {
  Index frames = 0;
  Index stride = 0;
};

/// Hands `sink` what `transform`, which makes groups `out` of groups `in`, makes of overlapping groups of
/// frames of `x[1, F, H, W, C]`, `length` frames in all. Each group but the first loses its first frame, then
/// is blended with the group before over what both have (diffusers' _temporal_tiled_encode and
/// _temporal_tiled_decode). Throws ArgumentError for groups that are not possible.
inline void in_frame_groups(const ops::Context& context, const Tensor<float>& x, const FrameGroups& in,
                            const FrameGroups& out, Index length,
                            const std::function<Tensor<float>(const Tensor<float>&)>& transform,
                            const FilmSink& sink) {
  for (const auto& groups : {in, out})
    if (groups.stride < 1 || groups.stride > groups.frames)
      throw ArgumentError("autoencoder", "groups of " + std::to_string(groups.frames) + " frames, " +
                                             std::to_string(groups.stride) + " apart, are not possible");
  Tensor<float> before;
  Index left = length;
  for (Index begin = 0; begin < x.dim(1) && left > 0; begin += in.stride) {
    context.check_stop();
    auto group = transform(ops::narrow(context, x, 1, begin, std::min(in.frames + 1, x.dim(1) - begin)));
    if (begin > 0) {
      if (group.dim(1) < 2) break;  // it is the frame that the group before had, too
      group = ops::narrow(context, group, 1, 1, group.dim(1) - 1);
      group = ops::blend(context, before, std::move(group), 1, out.frames - out.stride);
    }
    const Index kept = std::min({group.dim(1), begin > 0 ? out.stride : out.stride + 1, left});
    sink(ops::narrow(context, group, 1, 0, kept));
    left -= kept;
    before = std::move(group);
  }
}

/// Joins groups of frames `[N, f, H, W, C]`, `stride` of each kept and one more of the first, each blended
/// over `extent` frames with the one before it (diffusers' _temporal_tiled_decode), and hands them to `sink`.
class JoinedFrameGroups {
 public:
  JoinedFrameGroups(const ops::Context& context, Index stride, Index extent, FilmSink sink)
      : context_(context), stride_(stride), extent_(extent), sink_(std::move(sink)) {}

  /// Throws ArgumentError for frames of another size than the last ones'.
  void add(Tensor<float> group) {
    const bool is_first = before_.empty();
    if (!is_first) group = ops::blend(context_, before_, std::move(group), 1, extent_);
    const Index kept = std::min(group.dim(1), is_first ? stride_ + 1 : stride_);
    sink_(ops::narrow(context_, group, 1, 0, kept));
    before_ = std::move(group);
  }

 private:
  const ops::Context& context_;
  Index stride_, extent_;
  FilmSink sink_;
  Tensor<float> before_;
};

}  // namespace daguerre::models

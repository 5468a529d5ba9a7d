#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <utility>

#include "daguerre/models/autoencoders/detail/tiles.hpp"
#include "daguerre/models/autoencoders/film_tiling.hpp"

namespace daguerre::models {

inline TileGrid grid_of(const FilmTiling& tiling) {
  return {tiling.height, tiling.width, tiling.stride_height, tiling.stride_width};
}

/// in_grid for films `x[N, F, H, W, C]` where it does not matter where a tile is. What is joined is cut to
/// `height` x `width`.
inline Tensor<float> in_film_tiles(const ops::Context& context, const Tensor<float>& x, const TileGrid& in,
                                   const TileGrid& out, Index height, Index width,
                                   const std::function<Tensor<float>(const Tensor<float>&)>& transform) {
  const auto joined =
      in_grid(context, x, in, out, [&](const Tensor<float>& tile, Index, Index) { return transform(tile); });
  return tile_at(context, joined, 0, 0, height, width);
}

/// Groups of frames: how many lie in each behind the one that they share with the group before, and how many
/// lie between the beginnings of two.
struct FrameGroups {
  Index frames = 0;
  Index stride = 0;
};

/// Which frame of each group but the first one is left out of what becomes of it: both groups have it.
enum class SharedFrame { first, last };

/// Hands `sink` what `transform`, which makes groups `out` of groups `in`, makes of overlapping groups of
/// frames of `x[N, F, H, W, C]`, `length` frames in all. Each group but the first loses a frame, then is
/// blended with the group before over what both have (diffusers' _temporal_tiled_encode and
/// _temporal_tiled_decode). Throws ArgumentError for groups that are not possible.
inline void in_frame_groups(const ops::Context& context, const Tensor<float>& x, const FrameGroups& in,
                            const FrameGroups& out, Index length, SharedFrame shared,
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
      group = ops::narrow(context, group, 1, shared == SharedFrame::first ? 1 : 0, group.dim(1) - 1);
      group = ops::blend(context, before, std::move(group), 1, out.frames - out.stride);
    }
    const Index kept = std::min({group.dim(1), begin > 0 ? out.stride : out.stride + 1, left});
    sink(ops::narrow(context, group, 1, 0, kept));
    left -= kept;
    before = std::move(group);
  }
}

}  // namespace daguerre::models

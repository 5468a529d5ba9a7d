#pragma once

#include <array>
#include <vector>

#include "daguerre/ops/rearrange-inl.hpp"

namespace daguerre::models::detail {

/// A patch's extents.
struct FilmPatch {
  Index frames = 1, side = 2;
  Index size() const { return checked_multiply(frames, checked_multiply(side, side)); }
};

/// `x[N, F, H, W, C]` to its patches as tokens `[N, F / frames * H / side * W / side, C frames side side]`, a
/// patch's elements channel by channel, then frame, row, column. The patch must divide the film.
inline Tensor<float> film_to_tokens(const ops::Context& context, const Tensor<float>& x,
                                    const FilmPatch& patch) {
  const Index batch = x.dim(0), frames = x.dim(1) / patch.frames, height = x.dim(2), width = x.dim(3),
              channels = x.dim(4);
  auto pictures = x;
  if (patch.frames > 1) {  // a channel's frames side by side, as if they were channels
    std::vector<Tensor<float>> parts;
    for (const auto& part :
         ops::chunk(context, x.reshape({batch * frames, patch.frames, height, width, channels}),
                    static_cast<int>(patch.frames), 1))
      parts.push_back(part.reshape({batch * frames, height, width, channels, 1}));
    pictures = ops::concat<float>(context, parts, -1);
  }
  const auto tokens =
      ops::patchify(context, pictures.reshape({batch * frames, height, width, channels * patch.frames}),
                    patch.side, ops::PatchOrder::channels_rows_columns);
  return tokens.reshape({batch, frames * tokens.dim(1), tokens.dim(2)});
}

/// The inverse, to a film of `extents` (frames, height, width).
inline Tensor<float> tokens_to_film(const ops::Context& context, const Tensor<float>& tokens,
                                    const std::array<Index, 3>& extents, const FilmPatch& patch) {
  const Index batch = tokens.dim(0), frames = extents[0] / patch.frames, height = extents[1],
              width = extents[2], channels = tokens.dim(2) / patch.size();
  auto pictures = ops::unpatchify(
      context, tokens.reshape({batch * frames, tokens.dim(1) / frames, tokens.dim(2)}), height / patch.side,
      width / patch.side, patch.side, ops::PatchOrder::channels_rows_columns);
  if (patch.frames > 1) {
    std::vector<Tensor<float>> parts;
    for (const auto& part :
         ops::chunk(context, pictures.reshape({batch * frames, height, width, channels, patch.frames}),
                    static_cast<int>(patch.frames), -1))
      parts.push_back(part.reshape({batch * frames, 1, height, width, channels}));
    pictures = ops::concat<float>(context, parts, 1);
  }
  return pictures.reshape({batch, extents[0], height, width, channels});
}

/// 0, 1 ... count - 1, as coordinates.
inline std::vector<float> counted(Index count) {
  std::vector<float> result;
  for (Index i = 0; i < count; ++i) result.push_back(static_cast<float>(i));
  return result;
}

}  // namespace daguerre::models::detail

#pragma once

#include <functional>

#include "daguerre/core/tensor.hpp"

namespace daguerre::models {

/// Takes frames `[1, f, H, W, C]` of a film as they come, in their order.
using FilmSink = std::function<void(Tensor<float> frames)>;

/// How films are worked on piece by piece (diffusers' enable_tiling of films' autoencoders): overlapping
/// tiles of the picture and, where the network is given frames in groups, overlapping groups. Each is worked
/// on by itself and blended with those before it. In pixels and frames.
struct FilmTiling {
  Index height = 256, width = 256;                ///< of a tile
  Index stride_height = 192, stride_width = 192;  ///< from one tile to the next
  Index frames = 16;                              ///< of a group, and the one before it
  Index stride_frames = 12;                       ///< from one group to the next
  /// Whether what is decoded is cut off at -1 and 1, as it is where there are no tiles (diffusers since 0.36;
  /// 0.35 did not).
  bool clamps = true;
};

}  // namespace daguerre::models

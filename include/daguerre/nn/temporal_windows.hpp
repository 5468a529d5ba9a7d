#pragma once

#include <vector>

#include "daguerre/core/tensor.hpp"

namespace daguerre::nn {

/// How attention along the frames of a film that is longer than those a model was trained on is kept to
/// windows of that length: a window every `stride` frames, and where they overlap an average (FreeNoise; Qiu
/// et al. 2023, sec. 3.2; diffusers' FreeNoiseTransformerBlock).
struct TemporalWindows {
  /// How much the frames of a window count in the average.
  enum class Weights {
    flat,     ///< all the same
    pyramid,  ///< 1, 2 … in the middle … 2, 1
    /// A hundredth in the first half, then as many as there are left: "delayed_reverse_sawtooth".
    sawtooth,
  };
  Index length = 16;
  Index stride = 4;
  Weights weights = Weights::pyramid;
};

/// One of the windows over a film.
struct TemporalWindow {
  Index begin = 0;  ///< the first of its frames
  Index first = 0;  ///< the first of them whose result counts; not 0 in a window that was moved back
  std::vector<float> shares;  ///< of each of its frames in the average of that frame
};

/// The windows over `frames` frames, one where they fit into it. A last one that would not reach the end is
/// moved back to end there, and counts only for the frames behind the one before; as in the reference, all of
/// these are then divided by the weight of the first. Throws ArgumentError unless 1 <= stride <= length.
std::vector<TemporalWindow> temporal_windows(const TemporalWindows& options, Index frames);

}  // namespace daguerre::nn

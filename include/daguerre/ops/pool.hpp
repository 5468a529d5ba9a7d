#pragma once

#include "daguerre/ops/context.hpp"

namespace daguerre::ops {

/// Where a pooling window moves: over squares of `size` pixels, `stride` apart, from `pad` pixels outside of
/// the picture on.
struct PoolWindow {
  Index size = 3;
  Index stride = 2;
  Index pad = 0;
  /// Whether the last windows may reach beyond the padding, so that no pixel is left out (torch's ceil_mode).
  bool round_up = false;

  /// The output's extent for an input's. Throws ArgumentError where a window does not fit, or could lie in
  /// the padding alone.
  Index output_size(Index extent) const;
};

/// The greatest number of each channel in each window, `[N, H, W, C]` to `[N, H', W', C]` (torch's
/// max_pool2d): what lies outside of the picture does not count, a NaN wins.
template <class T>
Tensor<T> max_pool(const Context& context, const Tensor<T>& x, const PoolWindow& window);

/// The mean of what of each window lies inside of the picture (torch's avg_pool2d with
/// count_include_pad=False), summed in float32.
template <class T>
Tensor<T> average_pool(const Context& context, const Tensor<T>& x, const PoolWindow& window);

}  // namespace daguerre::ops

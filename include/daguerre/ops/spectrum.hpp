#pragma once

#include "daguerre/ops/context.hpp"

namespace daguerre::ops {

/// `x[N, H, W, C]` with its lowest frequencies times `scale`: of every channel's two-dimensional Fourier
/// transform those of -1 and 0 waves along each side, and of that the real part (FreeU's filter of skip
/// connections, Si et al. 2023, sec. 3.3; diffusers' fourier_filter with threshold 1). Waves are summed in
/// double. Throws ArgumentError for another rank and for an empty x.
Tensor<float> scale_low_frequencies(const Context& context, const Tensor<float>& x, float scale);

}  // namespace daguerre::ops

#pragma once

#include "daguerre/ops/context.hpp"

namespace daguerre::ops {

/// (x - mean) / deviation of each channel, `[N, H, W, C]`; `mean[C]`, `deviation[C]`. Throws ArgumentError
/// for other shapes.
Tensor<float> standardise(const Context& context, const Tensor<float>& x, const Tensor<float>& mean,
                          const Tensor<float>& deviation);

/// How far features point apart at each pixel, `[N, H, W, C]` twice to `[N, H, W, 1]`: the sum over channels
/// of weights_c (a_c / (|a| + 1e-10) - b_c / (|b| + 1e-10))^2, |a| being the length over channels (Zhang et
/// al. 2018, equation 1); `weights[C]`. Summed in double. Throws ArgumentError for other shapes.
Tensor<float> direction_distance(const Context& context, const Tensor<float>& a, const Tensor<float>& b,
                                 const Tensor<float>& weights);

}  // namespace daguerre::ops

#pragma once

#include "daguerre/ops/context.hpp"

namespace daguerre::ops {

/// What lies outside of a picture.
enum class Border { zeros, reflected };

/// `[N, H, W, C]` to `[N, H / 2, W / 2, C]`: every second pixel of the picture smoothed by (1 3 3 1) / 8
/// along both sides (with zeros diffusers' FirDownsample2D, Karras et al. 2020; with reflected borders its
/// KDownsample2D). Throws ArgumentError for a side below 2.
Tensor<float> fir_downsample(const Context& context, const Tensor<float>& x, Border border);

/// `[N, H, W, C]` to `[N, 2 H, 2 W, C]`: every new pixel is three quarters of the nearest one and a quarter
/// of the next, along both sides (FirUpsample2D; KUpsample2D). Throws ArgumentError for a side below 2 where
/// borders are reflected.
Tensor<float> fir_upsample(const Context& context, const Tensor<float>& x, Border border);

}  // namespace daguerre::ops

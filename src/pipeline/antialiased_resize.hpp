#pragma once

#include "daguerre/ops/context.hpp"

namespace daguerre {

/// Pictures `[N, H, W, C]` of any values at another size: blurred by a Gaussian as wide as the picture
/// shrinks, borders reflected, then brought there by bicubic interpolation with aligned corners (what
/// StableVideoDiffusionPipeline gives its image encoder). Throws ArgumentError for pictures too small to be
/// reflected as far as the Gaussian reaches.
Tensor<float> antialiased_resize(const ops::Context& context, const Tensor<float>& pictures, Index height,
                                 Index width);

}  // namespace daguerre

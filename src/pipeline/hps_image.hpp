#pragma once

#include "daguerre/media/image.hpp"
#include "daguerre/ops/context.hpp"

namespace daguerre {

/// What HPSv2's network, of that size, is given of a picture `[1, size, size, 3]`: its colours in [0, 1],
/// brought there by torch's bicubic interpolation (a = -0.75, not widened when shrinking, not clamped),
/// normalised. The shorter side becomes `size` and the middle is cut out, as torchvision does; or, `whole`,
/// the longer side, each side rounded half to even, and zeros stand around it before normalising (its
/// ResizeMaxSize, which leaves a picture alone whose longer side is `size`). Throws ArgumentError for an
/// empty picture, and for a strip whose shorter side could not become so long.
Tensor<float> hps_pixel_values(const ops::Context& context, const Image& picture, Index size,
                               bool whole = false);

}  // namespace daguerre

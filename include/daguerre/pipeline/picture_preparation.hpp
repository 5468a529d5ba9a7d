#pragma once

#include "daguerre/media/image.hpp"
#include "daguerre/ops/context.hpp"

/// Pictures as networks that look at them are given them where torch resizes and not Pillow; where Pillow
/// does, see ClipImageProcessor.
namespace daguerre {

/// What HPSv2's network, of that size, is given of a picture `[1, size, size, 3]`: its colours in [0, 1],
/// brought there by torch's bicubic interpolation (a = -0.75, not widened when shrinking, not clamped),
/// normalised. The shorter side becomes `size` and the middle is cut out, as torchvision does; or, `whole`,
/// the longer side, each side rounded half to even, and zeros stand around it before normalising (its
/// ResizeMaxSize, which leaves a picture alone whose longer side is `size`). Throws ArgumentError for an
/// empty picture, and for a strip whose shorter side could not become so long.
Tensor<float> hps_pixel_values(const ops::Context& context, const Image& picture, Index size,
                               bool whole = false);

/// What CMMD's reference gives CLIP, of that size, of a picture `[1, size, size, 3]`: its colours in [0, 1],
/// brought there by the same interpolation without regard to proportions, normalised. Throws ArgumentError
/// for an empty picture.
Tensor<float> cmmd_pixel_values(const ops::Context& context, const Image& picture, Index size);

/// Pictures `[N, H, W, C]` of any values at another size: blurred by a Gaussian as wide as the picture
/// shrinks, borders reflected, then brought there by bicubic interpolation with aligned corners (what
/// StableVideoDiffusionPipeline gives its image encoder). Throws ArgumentError for pictures too small to be
/// reflected as far as the Gaussian reaches.
Tensor<float> antialiased_resize(const ops::Context& context, const Tensor<float>& pictures, Index height,
                                 Index width);

}  // namespace daguerre

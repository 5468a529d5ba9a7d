#pragma once

#include <optional>

#include "daguerre/ops/context.hpp"

namespace daguerre::ops {

/// torch.nn.functional.interpolate's modes.
enum class Interpolation {
  nearest,        ///< source index floor(i * H / height)
  nearest_exact,  ///< the pixel under the centre of the new one
  bilinear,       ///< between the nearest pixel centres
  bicubic,        ///< Keys's cubic over 4 pixels, a = -0.75, borders repeated; with antialias a = -0.5
  area,           ///< the mean of the pixels from floor(i H / height) to ceil((i + 1) H / height)
};

/// How a tensor is brought to another size.
struct InterpolateOptions {
  Interpolation mode = Interpolation::bilinear;
  bool antialias = false;  ///< widens the filter when shrinking; for bilinear and bicubic only
  /// The first pixel and the last one stay where they are; for bilinear and bicubic only, without antialias
  /// and factor.
  bool align_corners = false;
  /// The new size over the old one, where it was what the caller was given and the size was rounded down from
  /// it (torch's scale_factor).
  std::optional<double> factor{};
};

/// `[N, H, W, C]` brought to `height` x `width`: the bits that torch computes on a CPU of contiguous `[N, C,
/// H, W]`; cubic weights alone it may round otherwise (1e-6). Throws ArgumentError for another shape, an
/// empty size, a factor that is not positive, and where antialiasing or aligned corners are asked of another
/// mode.
Tensor<float> interpolate(const Context& context, const Tensor<float>& x, Index height, Index width,
                          const InterpolateOptions& options = {});

}  // namespace daguerre::ops

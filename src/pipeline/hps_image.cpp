#include <algorithm>
#include <cmath>

#include "daguerre/media/clip_image_processor.hpp"
#include "daguerre/ops/interpolate.hpp"
#include "daguerre/pipeline/picture_preparation.hpp"

namespace daguerre {
namespace {

Tensor<float> bicubic(const ops::Context& context, const Tensor<float>& values, Index height, Index width) {
  if (values.dim(1) == height && values.dim(2) == width) return values;
  return ops::interpolate(context, values, height, width, {.mode = ops::Interpolation::bicubic});
}

/// The rows and columns from (top, left) on, of which those that are not there are zeros.
Tensor<float> window_of(const Tensor<float>& values, Index top, Index left, Index size) {
  const Index height = values.dim(1), width = values.dim(2), channels = values.dim(3);
  auto result = Tensor<float>::zeros({1, size, size, channels});
  float* const out = result.data();
  const Index first = std::max<Index>(0, -left), last = std::min(size, width - left);
  for (Index y = std::max<Index>(0, -top); y < std::min(size, height - top); ++y)
    std::copy_n(values.data() + ((top + y) * width + left + first) * channels, (last - first) * channels,
                out + (y * size + first) * channels);
  return result;
}

constexpr Index most_proportion = 100;  // of the longer side to the shorter one

/// Half of it, rounded half to even.
Index half_of(Index difference) {
  return static_cast<Index>(std::nearbyint(static_cast<double>(difference) / 2.0));
}

}  // namespace

Tensor<float> hps_pixel_values(const ops::Context& context, const Image& picture, Index size, bool whole) {
  if (picture.empty()) throw ArgumentError("hps_image", "the picture is empty");
  auto values = to_unit_tensor(picture.to_channels(3));
  const Index height = values.dim(1), width = values.dim(2);
  const Index longer = std::max(height, width), shorter = std::min(height, width);
  if (whole && longer != size) {
    const double scale = static_cast<double>(size) / static_cast<double>(longer);
    const auto scaled = [&](Index side) {
      return std::max<Index>(1, static_cast<Index>(std::nearbyint(static_cast<double>(side) * scale)));
    };
    values = bicubic(context, values, scaled(height), scaled(width));
    values = window_of(values, -((size - values.dim(1)) / 2), -((size - values.dim(2)) / 2), size);
  } else if (!whole) {
    // The whole picture is enlarged before it is cut, so that a strip would become large beyond measure.
    if (longer / shorter > most_proportion)
      throw ArgumentError("hps_image", "the picture is " + std::to_string(width) + " x " +
                                           std::to_string(height) + ", expected at most " +
                                           std::to_string(most_proportion) + " times as long as wide");
    const auto other =
        static_cast<Index>(static_cast<double>(size * longer) / static_cast<double>(shorter));  // truncated
    values = height <= width ? bicubic(context, values, size, other) : bicubic(context, values, other, size);
    values = window_of(values, half_of(values.dim(1) - size), half_of(values.dim(2) - size), size);
  }
  return ClipImageProcessor().normalised(values);
}

Tensor<float> cmmd_pixel_values(const ops::Context& context, const Image& picture, Index size) {
  if (picture.empty()) throw ArgumentError("cmmd_image", "the picture is empty");
  return ClipImageProcessor().normalised(
      bicubic(context, to_unit_tensor(picture.to_channels(3)), size, size));
}

}  // namespace daguerre

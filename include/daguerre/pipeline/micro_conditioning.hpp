#pragma once

#include <array>
#include <optional>

#include "daguerre/core/shape.hpp"

namespace daguerre {

/// Height and width, or row and column, in pixels.
using Extent = std::array<Index, 2>;

/// What Stable Diffusion XL was told of its training pictures, and can be told of what it makes (Podell et
/// al. 2023, sec. 2.2). Sizes that are not given are the picture's.
struct MicroConditioning {
  std::optional<Extent> original_size{};  ///< before scaling: small ones were blurred
  Extent crop_top_left{0, 0};             ///< what was cut off
  std::optional<Extent> target_size{};    ///< after cropping
  // The same for the negative condition; not given, as for the positive one.
  std::optional<Extent> negative_original_size{};
  std::optional<Extent> negative_crop_top_left{};
  std::optional<Extent> negative_target_size{};
  double aesthetic_score = 6.0;  ///< of models that are told one (SDXL's refiner), 1 to 10
  double negative_aesthetic_score = 2.5;

  bool operator==(const MicroConditioning&) const = default;
};

}  // namespace daguerre

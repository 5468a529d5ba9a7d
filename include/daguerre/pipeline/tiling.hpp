#pragma once

namespace daguerre {

/// Pictures that repeat without a seam: along such an axis every convolution sees a picture's other side
/// beyond its edge (padding_mode "circular" in denoiser and autoencoder).
struct Tiling {
  bool x = false;  ///< left and right edge fit
  bool y = false;  ///< upper and lower edge fit

  bool any() const noexcept { return x || y; }
  bool operator==(const Tiling&) const = default;
};

}  // namespace daguerre

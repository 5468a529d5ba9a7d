#pragma once

#include <functional>
#include <optional>
#include <string>

#include "daguerre/media/image.hpp"

namespace daguerre {

/// A second pass over the picture made larger (the web UI's "hires fix"): Request::hires. Its noise is that
/// of a run of its own: the same seeds, from their beginning, at the larger size. Both passes are what two
/// calls are, the second with the first one's latents as Request::Input::latents or its picture as image.
struct Hires {
  /// What is made larger, and how. Latents as torch.nn.functional.interpolate does it with that mode, without
  /// antialiasing; pictures of 8 bits by Pillow's Lanczos filter, or by `upscaler`.
  enum class Mode { latent_nearest, latent_nearest_exact, latent_bilinear, latent_bicubic, pixels };

  double scale = 2.0;                      ///< of both sides, rounded down to a multiple; above 0, up to 16
  std::optional<Index> width{}, height{};  ///< instead, in pixels; one alone keeps the proportions
  Mode mode = Mode::latent_bilinear;
  /// How far the second pass goes from the first one's picture, 0 to 1.
  double strength = 0.7;
  std::optional<int> steps{};  ///< of the whole schedule, of which strength takes a part; as the first
  std::optional<std::string> sampler{};  ///< by default as the first
  /// For Mode::pixels: a network that makes pictures larger, say; what it gives is scaled to the size by
  /// Lanczos. Empty: Lanczos alone. What it throws reaches the caller of `generate`.
  std::function<Image(const Image&)> upscaler{};
  std::string upscaler_name{};  ///< for the settings' text
};

}  // namespace daguerre

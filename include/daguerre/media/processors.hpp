#pragma once

#include <array>

#include "daguerre/media/image.hpp"

/// Pictures made of pictures without a network, as control images want them.
namespace daguerre {

/// What edges are found with, see `canny`.
struct CannyOptions {
  double low = 100.0;        ///< edges go on where the gradient is above this
  double high = 200.0;       ///< and begin where it is above this
  int aperture = 3;          ///< of the Sobel filters: 3, 5 or 7
  bool l2_gradient = false;  ///< the root of the sum of squares in place of the sum of amounts
};

/// Edges, white on black, one pixel wide (Canny 1986), pixel by pixel those of OpenCV's `Canny`: of colours
/// the channel with the largest gradient counts, alpha does not. Throws ArgumentError for an empty picture,
/// another aperture, or thresholds that are not finite.
Image canny(const Image& image, const CannyOptions& options = {});

/// The negative; alpha stays.
Image inverted(const Image& image);
/// White where the darkest of the colours is below `level`, else black: a drawing on white paper as a
/// scribble ControlNet wants it.
Image scribble(const Image& image, int level = 127);
/// White where the grey picture is at least `level`, else black.
Image thresholded(const Image& image, int level = 128);

/// How a picture is brought to a size of another shape.
enum class Fit {
  stretch,  ///< without regard to its shape
  crop,     ///< filled; what is too much is cut off on both sides (PIL's ImageOps.fit)
  pad,      ///< seen whole, in the middle, with borders (PIL's ImageOps.pad)
};

/// The picture at that size. `border` is the colour of borders. Throws ArgumentError as `Image::resized`.
Image fitted(const Image& image, Index width, Index height, Fit fit,
             Resampling resampling = Resampling::lanczos,
             const std::array<std::uint8_t, 3>& border = {0, 0, 0});

}  // namespace daguerre

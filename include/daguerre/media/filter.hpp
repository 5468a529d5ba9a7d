#pragma once

#include "daguerre/media/image.hpp"

namespace daguerre {

/// The picture blurred as Pillow's `ImageFilter.GaussianBlur(radius)` does it, to the byte: three box blurs
/// along each axis, horizontal ones first, whose widths together have that standard deviation (Gwosdek et al.
/// 2011), rounded to 8 bits after each; the edge goes on beyond it. Each channel by itself, alpha too. Throws
/// ArgumentError for an empty picture and for a radius that is not 0 to 1000.
Image gaussian_blur(const Image& image, double radius);

/// Each value becomes the greatest of the square that reaches `radius` pixels around it: Pillow's
/// `ImageFilter.MaxFilter(2 * radius + 1)`; the least for radius below 0: `MinFilter(1 - 2 * radius)`. Throws
/// ArgumentError for an empty picture and beyond 4096 pixels.
Image grown(const Image& image, Index radius);

/// `above` where the mask is 255, `below` where it is 0, mixed in between and rounded as Pillow's
/// `Image.composite`. All are of one size; the pictures have the same channels, the mask has one. Throws
/// ArgumentError where that is not so.
Image composite(const Image& above, const Image& below, const Image& mask);

/// The rectangle of that size that begins at (left, top). What lies beyond the picture repeats its edge.
/// Throws ArgumentError for an empty picture, or a size that `Image` refuses.
Image cut_out(const Image& image, Index left, Index top, Index width, Index height);

}  // namespace daguerre

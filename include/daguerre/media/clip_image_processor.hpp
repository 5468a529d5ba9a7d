#pragma once

#include <array>

#include "daguerre/media/image.hpp"

namespace daguerre {

/// What CLIP's image encoders are given of a picture, bit by bit: its colours, resized, cut out of the
/// middle, scaled and normalised. As it stands it is transformers' CLIPImageProcessor.
struct ClipImageProcessor {
  /// Where the cut begins if it leaves an odd number of pixels: one less before it than behind it, as
  /// transformers has it, or that half rounded to the even number, as torchvision has it.
  enum class CropOffset { down, half_even };

  bool resize = true;
  /// To which the longer side is brought, each side rounded half to even, and black edges make the picture
  /// square (open_clip's ResizeKeepRatio and CenterCropOrPad). 0: by what follows.
  Index longest_edge = 0;
  Index shortest_edge = 224;    ///< to which the shorter side is brought; 0: `height` and `width`
  Index height = 0, width = 0;  ///< to which the picture is brought without regard to proportions
  Resampling resampling = Resampling::bicubic;
  bool crop = true;
  Index crop_height = 224, crop_width = 224;  ///< pictures that are smaller get black edges
  CropOffset crop_offset = CropOffset::down;
  /// Colours are taken behind resizing and cutting, so that alpha weighs them; else before.
  bool converts_last = false;
  bool rescale = true;
  double rescale_factor = 1.0 / 255.0;
  bool normalise = true;
  std::array<float, 3> mean{0.48145466f, 0.4578275f, 0.40821073f};
  std::array<float, 3> deviation{0.26862954f, 0.26130258f, 0.27577711f};

  /// As openai/CLIP's `_transform` and open_clip's `image_transform` prepare pictures for a network of that
  /// size: torchvision's cut, colours taken last.
  static ClipImageProcessor openai(Index size);
  /// The other way that open_clip has, `resize_mode` "longest": whole pictures with black edges.
  static ClipImageProcessor whole_picture(Index size);

  /// The picture after resizing and cutting, in eight bits. Throws ArgumentError for an empty picture and for
  /// sizes that are not possible.
  Image prepared(const Image& picture) const;
  /// `[1, H, W, 3]`.
  Tensor<float> operator()(const Image& picture) const;
  /// Values `[N, H, W, 3]` of pictures, in [0, 1], normalised, where that is asked for. Throws ArgumentError
  /// for another shape.
  Tensor<float> normalised(const Tensor<float>& values) const;
};

}  // namespace daguerre

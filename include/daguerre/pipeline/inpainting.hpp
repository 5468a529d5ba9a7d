#pragma once

#include <optional>

#include "daguerre/core/shape.hpp"

namespace daguerre {

/// What stands under the mask when the run begins, where it does not begin with noise alone (the web UI's
/// "masked content").
enum class MaskedContent {
  original,        ///< the picture as it is
  fill,            ///< its surroundings, blurred into it
  latent_noise,    ///< noise in the latents
  latent_nothing,  ///< zeros in the latents
};

/// A picture that grows beyond its sides, by pixels. What is new begins as the pixels of the edge drawn out,
/// more and more blurred with the distance, and is painted.
struct Outpaint {
  Index left = 0, top = 0, right = 0, bottom = 0;
  Index overlap = 16;  ///< how far what is painted reaches into the picture, so that both meet

  bool any() const noexcept { return left != 0 || top != 0 || right != 0 || bottom != 0; }
};

/// What people do around a mask (Request::Input). By default nothing: the mask is taken as the reference's
/// pipelines take it.
///
/// The mask is grown, then blurred, then looked at: from grey 128 on is painted, as both the web UI and
/// diffusers (VaeImageProcessor) have it, and the blurred mask itself says how much of what was made is seen
/// in the end.
struct Inpainting {
  /// Standard deviation in pixels of the picture, by Pillow's GaussianBlur, which is
  /// VaeImageProcessor.blur's.
  double mask_blur = 0.0;
  /// Pixels of the picture, by which a square around each pixel of the mask reaches out (Pillow's MaxFilter);
  /// below 0 it shrinks (MinFilter). Up to 4096 either way.
  Index mask_grow = 0;
  /// Work on the surroundings of the mask alone, at the request's size (by default what the model was trained
  /// at): the mask's bounds and so many pixels more, made as wide or high as that size is; and put what was
  /// made back into the picture, which keeps its size (the web UI's get_crop_region and expand_crop_region).
  std::optional<Index> only_masked{};
  /// Pixels that the blurred mask leaves at 0 are in the result as they are in the picture, byte for byte,
  /// and grey ones are mixed (Pillow's Image.composite). By default where only_masked or outpaint is asked
  /// for.
  std::optional<bool> keep_unmasked{};
  Outpaint outpaint{};  ///< takes a mask, too, which is painted beside what is new
  /// The mask's grey is each pixel's own strength (Differential Diffusion, Levin & Fried 2023): in step i of
  /// n latents whose mask is below 1 - i / n follow the noised picture, the others are painted.
  bool differential = false;
  MaskedContent content = MaskedContent::original;
};

}  // namespace daguerre

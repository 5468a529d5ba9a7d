#pragma once

#include "daguerre/media/image.hpp"
#include "daguerre/pipeline/request.hpp"

/// Sizes that follow from a picture: of models that look at one while they make another one, as
/// FLUX.1-Kontext does, and of those that work in pixels.
namespace daguerre {

/// Height and width that a picture to look at is scaled to: of those that FLUX.1-Kontext was trained with the
/// one whose proportions are nearest (diffusers' FluxKontextPipeline), in multiples of `multiple`.
Extent reference_size(Extent picture, Index multiple);

/// Height and width of as many pixels as `area` has, in the proportions of `wanted`, rounded down to
/// multiples of `multiple`.
Extent size_like(Extent wanted, Extent area, Index multiple);

/// Height and width whose shorter side is the shorter one of `trained`, in the proportions of `picture`: the
/// longer one rounded to a multiple of 8, or of `multiple` where that is more (diffusers' IFImg2ImgPipeline).
Extent size_as_trained(Extent picture, Extent trained, Index multiple);

/// Height and width of what is made beside the picture that is looked at: what is given, the other side in
/// the picture's proportions; where nothing is given, as many pixels as `usual` has, in these proportions.
Extent size_beside(const Request::Size& given, const Image& picture, Index multiple, Extent usual);

}  // namespace daguerre

#pragma once

#include "daguerre/pipeline/control.hpp"
#include "daguerre/pipeline/control_use.hpp"

namespace daguerre {

/// `picture` at that size. Throws ArgumentError as Image::resized does.
Image resized_as(const Image& picture, Index width, Index height, ControlResize how);

/// What a control is given of its picture for pictures of that size: its colours, or grey where it reads one
/// channel, `[1, height, width, C]`. With a mask `[1 or N, height, width, 1]` what it covers is -1. Throws
/// ArgumentError for a control that reads more channels than pictures have.
Tensor<float> control_input(const ControlInfo& info, const Image& picture, Index width, Index height,
                            ControlResize how, const Tensor<float>& hidden);

}  // namespace daguerre

#pragma once

#include "daguerre/pipeline/preparation.hpp"

namespace daguerre {

/// The conditions of a film whose model has no way of its own to be told frames: they stay what they are, at
/// each step's noise level, and clean after the last; what lies between them is what fits both (RePaint along
/// time; Lugmayr et al. 2022). `drawn` is the noise that the run begins with. Throws ArgumentError for
/// latents of several frames.
void hold_frames(const Preparation& of, const Tensor<float>& drawn, Start& start);

}  // namespace daguerre

#pragma once

#include "daguerre/weights/state_dict.hpp"

namespace daguerre::weights {

/// Weights of 8 bits that have a scale of their own, as ComfyUI writes them: `NAME.weight` times
/// `NAME.scale_weight` (or `NAME.weight_scale`), in float32; what else such a file says of the scales is left
/// out. Weights without any are returned as they are. Throws WeightError for a scale that is not one number.
StateDict with_scales(const StateDict& weights);

}  // namespace daguerre::weights

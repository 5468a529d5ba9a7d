#pragma once

#include "daguerre/config/config.hpp"
#include "daguerre/weights/state_dict.hpp"

namespace daguerre::weights {

/// The configuration of a MotionAdapter as its tensors, under diffusers' names, show it: 8 heads and 32
/// groups, as all published ones have. Throws WeightError where a tensor is missing that every one has.
Config motion_adapter_config(const StateDict& weights, const std::string& source);

}  // namespace daguerre::weights

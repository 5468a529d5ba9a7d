#pragma once

#include <optional>
#include <string>

#include "daguerre/config/config.hpp"
#include "daguerre/weights/state_dict.hpp"

namespace daguerre::weights {

/// The configuration of a ControlNet or T2I-Adapter as its tensors show it, under diffusers' names; nothing
/// where they are no such network's. Heads are eight where projections are convolutions, as in Stable
/// Diffusion 1, else one for every 64 channels. `space_ratio`: pixels along a side to one latent of the model
/// that it is for; an adapter that looks at squares twice as large is one for Stable Diffusion XL. Throws
/// WeightError where a tensor is missing that every network of the kind has.
std::optional<Config> control_config(const StateDict& weights, Index space_ratio, const std::string& source);

}  // namespace daguerre::weights

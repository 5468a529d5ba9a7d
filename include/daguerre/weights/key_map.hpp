#pragma once

#include "daguerre/weights/state_dict.hpp"

namespace daguerre::weights {

/// The weights under diffusers' names, whatever layout their own names follow; nothing behind this function
/// knows of others. Recognised by their names are diffusers' layout itself (returned as it is) and that of
/// facebookresearch/DiT (`x_embedder.proj`, `blocks.N.adaLN_modulation.1`, queries, keys and values in one
/// `qkv`). Names without a counterpart stay as they are.
StateDict with_diffusers_names(const StateDict& weights);

}  // namespace daguerre::weights

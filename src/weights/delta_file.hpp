#pragma once

#include <memory>

#include "daguerre/weights/state_dict.hpp"

namespace daguerre::weights {

/// The tensors of `weights` that `deltas` change, changed as they are read. Throws as StateDict::with_deltas.
std::shared_ptr<const TensorFile> delta_file(const StateDict& weights, const Deltas& deltas);

}  // namespace daguerre::weights

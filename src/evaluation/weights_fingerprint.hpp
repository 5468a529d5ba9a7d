#pragma once

#include <string>

#include "daguerre/core/parallel.hpp"
#include "daguerre/weights/state_dict.hpp"

namespace daguerre::evaluation {

/// The SHA-256 of a network's tensors: of their names, types, shapes and elements, in the order of their
/// names, whatever file or shards they lie in and in which order. Tensors are read in parallel.
std::string weights_fingerprint(const weights::StateDict& weights, const Threads& threads);

}  // namespace daguerre::evaluation

#pragma once

#include <string>

#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "daguerre/weights/state_dict.hpp"
#include "weights/names.hpp"

namespace daguerre::weights {

/// Extent `axis` of a tensor that must be there. Throws WeightError where it is not, or has fewer axes.
inline Index extent(const StateDict& weights, const std::string& name, int axis) {
  const Shape shape = weights.shape(name);
  if (axis >= shape.rank())
    throw WeightError(weights_name, weights.source() + ": tensor " + in_quotes(weights.source_name(name)) +
                                        " has shape " + to_string(shape) + ", expected more axes");
  return shape[axis];
}

}  // namespace daguerre::weights

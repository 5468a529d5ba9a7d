#pragma once

#include <cstdint>
#include <vector>

#include "daguerre/tensor/tensor.hpp"

namespace daguerre::ops {

/// A layer's weights rounded to -127..127, with a scale for each output channel: the first axis.
struct Int8Weights {
  Tensor<std::int8_t> values;
  std::vector<float> scales;       ///< one a channel
  std::vector<float> scaled_sums;  ///< scale times the sum of the channel's values

  explicit Int8Weights(const Tensor<float>& weights);
};

}  // namespace daguerre::ops

#pragma once

#include <cstdint>
#include <vector>

#include "daguerre/core/parallel.hpp"
#include "daguerre/core/tensor.hpp"
#include "daguerre/ops/weight_source.hpp"

namespace daguerre::ops {

/// The greatest 8-bit activation. Where there is no VNNI, oneDNN adds pairs of products in 16 bits with
/// saturation; half the range keeps them exact.
float int8_activation_levels() noexcept;

/// A layer's weights rounded to -127..127, with a scale for each output channel: the first axis.
struct Int8Weights {
  Tensor<std::int8_t> values;
  std::vector<float> scales;       ///< one a channel
  std::vector<float> scaled_sums;  ///< scale times the sum of the channel's values

  Int8Weights(const Threads& threads, const Weight& weights);
  /// The same of channels [begin, end) only, written to where each of the three points.
  static void round(const Weight& weights, Index begin, Index end, std::int8_t* values, float* scales,
                    float* scaled_sums);
};

}  // namespace daguerre::ops

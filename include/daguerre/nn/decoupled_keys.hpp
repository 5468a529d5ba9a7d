#pragma once

#include "daguerre/core/tensor.hpp"

namespace daguerre::nn {

/// Keys and values beside those of the prompt, which the same queries look at in a softmax of its own; what
/// they find is added `scale` times (IP-Adapter's decoupled cross-attention; Ye et al. 2023, eq. 5).
struct DecoupledKeys {
  Tensor<float> keys_values;  ///< `[N, S, 2 heads * head_dim]`, the keys first
  float scale = 1.0f;
};

}  // namespace daguerre::nn

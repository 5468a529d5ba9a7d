#pragma once

#include "daguerre/models/language/language_config.hpp"
#include "daguerre/ops/rotary.hpp"

namespace daguerre::models {

/// By how much each pair of a head's channels is turned from one position to the next, for sequences whose
/// largest position is `length - 1`, which matters to the scaling `dynamic` alone. In float32 step by step,
/// as transformers' modeling_rope_utils.
ops::RotaryFrequencies rotary_frequencies(const RotaryConfig& config, Index head_dim, Index length);

}  // namespace daguerre::models

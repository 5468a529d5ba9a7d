#pragma once

#include <cstddef>
#include <span>

#include "daguerre/core/dtype.hpp"
#include "daguerre/core/shape.hpp"

namespace daguerre::weights {

/// Whether numbers can be rounded to blocks of that type.
bool can_quantise(DType dtype);

/// Rounds `values`, which make whole blocks, into `out`, which they fill. Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, TQ1_0
/// and TQ2_0 have the bits that gguf-py gives them; Q4_K, Q5_K and Q6_K are searched for as llama.cpp does
/// without an importance matrix. Numbers must be finite. Throws ArgumentError for other types.
void quantise(DType dtype, std::span<const float> values, std::span<std::byte> out);

}  // namespace daguerre::weights

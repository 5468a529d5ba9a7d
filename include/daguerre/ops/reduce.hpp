#pragma once

#include <cstdint>

#include "daguerre/ops/context.hpp"

namespace daguerre::ops {

/// The mean over `axis` (negative from the end), which is left out of the result; summed in double in the
/// axis' order. Throws ArgumentError for an axis that is not there or has no elements.
Tensor<float> mean(const Context& context, const Tensor<float>& x, int axis);

/// For each row of `x[..., C]` the index of the row of `table[V, C]` that is nearest to it, the first where
/// several are, `[...]`: the codes of a vector-quantised autoencoder. Distances are summed in double. Throws
/// ArgumentError where the shapes do not fit or the table has no rows.
Tensor<std::int32_t> nearest_rows(const Context& context, const Tensor<float>& table, const Tensor<float>& x);

}  // namespace daguerre::ops

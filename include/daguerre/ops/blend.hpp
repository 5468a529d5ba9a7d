#pragma once

#include "daguerre/ops/context.hpp"

namespace daguerre::ops {

/// `tile` with the first `extent` elements of `axis` (negative from the end) faded in from the last ones of
/// `neighbour`, which lies before it and is of the same shape but for that axis: element i is tile i / extent
/// + neighbour (1 - i / extent). An extent longer than one of them is cut to it. A tile that is given away
/// becomes the result. Throws ArgumentError for another shape and a negative extent.
Tensor<float> blend(const Context& context, const Tensor<float>& neighbour, Tensor<float> tile, int axis,
                    Index extent);

}  // namespace daguerre::ops

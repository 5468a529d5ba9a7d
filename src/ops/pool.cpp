#include <string>

#include "daguerre/ops/pool-inl.hpp"

namespace daguerre::ops {

Index PoolWindow::output_size(Index extent) const {
  const Index reach = extent + 2 * pad - size + (round_up ? stride - 1 : 0);
  // A padding of more than half a window would give windows without a pixel.
  if (size < 1 || stride < 1 || pad < 0 || pad > size / 2 || extent < 1 || reach < 0)
    throw ArgumentError("pool", "a window of " + std::to_string(size) + " with stride " +
                                    std::to_string(stride) + " and padding " + std::to_string(pad) +
                                    " does not fit an input of " + std::to_string(extent));
  const Index steps = reach / stride;
  // The last window begins in the picture, or in the padding before it.
  return steps * stride >= extent + pad ? steps : steps + 1;
}

template Tensor<float> max_pool(const Context&, const Tensor<float>&, const PoolWindow&);
template Tensor<bfloat16> max_pool(const Context&, const Tensor<bfloat16>&, const PoolWindow&);
template Tensor<float> average_pool(const Context&, const Tensor<float>&, const PoolWindow&);
template Tensor<bfloat16> average_pool(const Context&, const Tensor<bfloat16>&, const PoolWindow&);

}  // namespace daguerre::ops

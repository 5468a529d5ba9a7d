#include "daguerre/metrics/inception_input.hpp"

#include "daguerre/ops/resample.hpp"

namespace daguerre::metrics {

Tensor<float> inception_input(const ops::Context& context, const Tensor<float>& pictures, Index side) {
  auto result = ops::resize_bilinear(context, pictures, side, side);
  for (float& value : result.span()) value = 2.0f * value - 1.0f;
  return result;
}

}  // namespace daguerre::metrics

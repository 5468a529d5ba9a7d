#include "daguerre/metrics/inception_input.hpp"

#include "daguerre/ops/elementwise.hpp"
#include "daguerre/ops/resample.hpp"

namespace daguerre::metrics {

// Both are exact but for one rounding, which is the references': halves and 128ths are shifts.

Tensor<float> inception_input(const ops::Context& context, const Tensor<float>& pictures, Index side) {
  return ops::affine(context, ops::resize_bilinear(context, pictures, side, side), 2.0f, -1.0f);
}

Tensor<float> inception_input_tf1(const ops::Context& context, const Tensor<float>& pictures, Index side) {
  return ops::affine(context, ops::resize_bilinear_tf1(context, pictures, side, side), 1.0f / 128.0f, -1.0f);
}

}  // namespace daguerre::metrics

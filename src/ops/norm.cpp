#include "daguerre/ops/norm-inl.hpp"

namespace daguerre::ops {

template Tensor<float> group_norm(const Context&, const Tensor<float>&, const Tensor<float>&,
                                  const Tensor<float>&, int, float, Activation, const GroupNormExtras&);
template Tensor<bfloat16> group_norm(const Context&, const Tensor<float>&, const Tensor<float>&,
                                     const Tensor<float>&, int, float, Activation, const GroupNormExtras&);
template Tensor<bfloat16> group_norm(const Context&, const Tensor<bfloat16>&, const Tensor<float>&,
                                     const Tensor<float>&, int, float, Activation, const GroupNormExtras&);
template Tensor<float> layer_norm(const Context&, const Tensor<float>&, const Tensor<float>&,
                                  const Tensor<float>&, float);
template Tensor<bfloat16> layer_norm(const Context&, const Tensor<float>&, const Tensor<float>&,
                                     const Tensor<float>&, float);
template Tensor<float> rms_norm(const Context&, const Tensor<float>&, const Tensor<float>&, float,
                                Activation);
template Tensor<bfloat16> rms_norm(const Context&, const Tensor<float>&, const Tensor<float>&, float,
                                   Activation);

}  // namespace daguerre::ops

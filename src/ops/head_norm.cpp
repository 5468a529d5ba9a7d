#include "daguerre/ops/head_norm-inl.hpp"

namespace daguerre::ops {

template Tensor<float> norm_heads(const Context&, const TokenView<float>&, Index, const HeadNorm&);
template Tensor<bfloat16> norm_heads(const Context&, const TokenView<bfloat16>&, Index, const HeadNorm&);

}  // namespace daguerre::ops

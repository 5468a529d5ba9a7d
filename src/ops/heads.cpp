#include "daguerre/ops/heads-inl.hpp"

namespace daguerre::ops {

template Tensor<float> join_heads(const Context&, std::span<const HeadStream<float>>, Index,
                                  const RotaryTable*);
template Tensor<bfloat16> join_heads(const Context&, std::span<const HeadStream<bfloat16>>, Index,
                                     const RotaryTable*);

}  // namespace daguerre::ops

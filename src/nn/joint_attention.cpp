#include "daguerre/nn/joint_attention-inl.hpp"

namespace daguerre::nn {

template class QkvProjection<float>;
template class QkvProjection<bfloat16>;
template Tensor<float> attend_jointly(const ops::Context&, const ops::Engine&,
                                      std::span<const QkvStream<float>>, int, Index, const ops::RotaryTable*);
template Tensor<bfloat16> attend_jointly(const ops::Context&, const ops::Engine&,
                                         std::span<const QkvStream<bfloat16>>, int, Index,
                                         const ops::RotaryTable*);
template class JointAttention<float>;
template class JointAttention<bfloat16>;

}  // namespace daguerre::nn

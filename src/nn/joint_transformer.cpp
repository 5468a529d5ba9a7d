#include "daguerre/nn/joint_transformer-inl.hpp"

namespace daguerre::nn {

template class JointTransformerBlock<float>;
template class JointTransformerBlock<bfloat16>;
template class SingleTransformerBlock<float>;
template class SingleTransformerBlock<bfloat16>;

}  // namespace daguerre::nn

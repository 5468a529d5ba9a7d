#include "daguerre/nn/conv3d-inl.hpp"

namespace daguerre::nn {

template class Conv3d<float>;
template class Conv3d<bfloat16>;

}  // namespace daguerre::nn

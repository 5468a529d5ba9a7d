#include "daguerre/nn/basic_conv-inl.hpp"

namespace daguerre::nn {

template class BasicConv2d<float>;
template class BasicConv2d<bfloat16>;

}  // namespace daguerre::nn

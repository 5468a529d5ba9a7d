#include "daguerre/nn/resnet-inl.hpp"

namespace daguerre::nn {

template class ResnetBlock2D<float>;
template class ResnetBlock2D<bfloat16>;

}  // namespace daguerre::nn

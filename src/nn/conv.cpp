#include "daguerre/nn/conv-inl.hpp"

namespace daguerre::nn {

template class Conv2d<float>;
template class Conv2d<bfloat16>;
template class Downsample2D<float>;
template class Downsample2D<bfloat16>;
template class Upsample2D<float>;
template class Upsample2D<bfloat16>;

}  // namespace daguerre::nn

#include "daguerre/nn/temporal_conv-inl.hpp"

namespace daguerre::nn {

template class TemporalConvLayer<float>;
template class TemporalConvLayer<bfloat16>;
template class TemporalResnet<float>;
template class TemporalResnet<bfloat16>;

}  // namespace daguerre::nn

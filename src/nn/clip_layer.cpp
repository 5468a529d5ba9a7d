#include "daguerre/nn/clip_layer-inl.hpp"

namespace daguerre::nn {

template class ClipLayer<float>;
template class ClipLayer<bfloat16>;

}  // namespace daguerre::nn

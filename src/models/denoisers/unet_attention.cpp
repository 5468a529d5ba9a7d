#include "daguerre/models/denoisers/detail/unet_attention-inl.hpp"

namespace daguerre::models {

template class UNetAttention<float>;
template class UNetAttention<bfloat16>;

}  // namespace daguerre::models

#include "daguerre/models/denoisers/unet_3d_condition-inl.hpp"

namespace daguerre::models {

template class UNet3DCondition<float>;
template class UNet3DCondition<bfloat16>;

}  // namespace daguerre::models

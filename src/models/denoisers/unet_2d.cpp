#include "daguerre/models/denoisers/unet_2d-inl.hpp"

namespace daguerre::models {

template class UNet2D<float>;
template class UNet2D<bfloat16>;

}  // namespace daguerre::models

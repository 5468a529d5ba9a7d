#include "daguerre/models/denoisers/unet_2d_body-inl.hpp"

namespace daguerre::models {

template class UNetContractingPath<float>;
template class UNetContractingPath<bfloat16>;
template class UNet2DBody<float>;
template class UNet2DBody<bfloat16>;

}  // namespace daguerre::models

#include "daguerre/models/denoisers/unet_2d_condition-inl.hpp"

namespace daguerre::models {

template class UNet2DConditionEmbedder<float>;
template class UNet2DConditionEmbedder<bfloat16>;
template class UNet2DCondition<float>;
template class UNet2DCondition<bfloat16>;

}  // namespace daguerre::models

#include "daguerre/models/denoisers/unet_spatio_temporal-inl.hpp"

namespace daguerre::models {

template class UNetSpatioTemporal<float>;
template class UNetSpatioTemporal<bfloat16>;

}  // namespace daguerre::models

#include "daguerre/models/denoisers/i2vgen_xl_unet-inl.hpp"

namespace daguerre::models {

template class I2VGenXLUNet<float>;
template class I2VGenXLUNet<bfloat16>;

}  // namespace daguerre::models

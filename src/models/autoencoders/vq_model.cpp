#include "daguerre/models/autoencoders/vq_model-inl.hpp"

namespace daguerre::models {

template class VqModel<float>;
template class VqModel<bfloat16>;

}  // namespace daguerre::models

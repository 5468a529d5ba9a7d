#include "daguerre/models/denoisers/dit-inl.hpp"

namespace daguerre::models {

template class DiT<float>;
template class DiT<bfloat16>;

}  // namespace daguerre::models

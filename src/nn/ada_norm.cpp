#include "daguerre/nn/ada_norm-inl.hpp"

namespace daguerre::nn {

template class Modulation<float>;
template class Modulation<bfloat16>;

}  // namespace daguerre::nn

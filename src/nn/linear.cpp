#include "daguerre/nn/linear-inl.hpp"

namespace daguerre::nn {

template class Linear<float>;
template class Linear<bfloat16>;

}  // namespace daguerre::nn

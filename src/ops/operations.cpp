#include "daguerre/ops/operations-inl.hpp"

namespace daguerre::ops {

template class OperationsFor<float>;
template class OperationsFor<bfloat16>;

}  // namespace daguerre::ops

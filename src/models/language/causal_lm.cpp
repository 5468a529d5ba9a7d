#include "daguerre/models/language/causal_lm-inl.hpp"

namespace daguerre::models {

template class CausalLm<float>;
template class CausalLm<bfloat16>;

}  // namespace daguerre::models

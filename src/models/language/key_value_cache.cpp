#include "daguerre/models/language/key_value_cache-inl.hpp"

namespace daguerre::models {

template class KeyValueCache<float>;
template class KeyValueCache<bfloat16>;

}  // namespace daguerre::models

#include "daguerre/models/denoisers/detail/unet_k_blocks-inl.hpp"

namespace daguerre::models {
namespace detail {

template class KDownBlock<float>;
template class KDownBlock<bfloat16>;
template class KUpBlock<float>;
template class KUpBlock<bfloat16>;

}  // namespace detail
}  // namespace daguerre::models

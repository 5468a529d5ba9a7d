#include "daguerre/models/denoisers/detail/unet_skip_blocks-inl.hpp"

namespace daguerre::models {
namespace detail {

template class SkipDownBlock<float>;
template class SkipDownBlock<bfloat16>;
template class SkipUpBlock<float>;
template class SkipUpBlock<bfloat16>;

}  // namespace detail
}  // namespace daguerre::models

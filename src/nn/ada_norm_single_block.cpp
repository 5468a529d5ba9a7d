#include "daguerre/nn/ada_norm_single_block-inl.hpp"

namespace daguerre::nn {

template class AdaNormSingleBlock<float>;
template class AdaNormSingleBlock<bfloat16>;

}  // namespace daguerre::nn

#include "daguerre/nn/added_kv_attention-inl.hpp"

namespace daguerre::nn {

template class TokenNorm<float>;
template class TokenNorm<bfloat16>;
template class AddedKvAttention<float>;
template class AddedKvAttention<bfloat16>;

}  // namespace daguerre::nn

#include "daguerre/nn/transformer-inl.hpp"

namespace daguerre::nn {

template class FeedForward<float>;
template class FeedForward<bfloat16>;
template class BasicTransformerBlock<float>;
template class BasicTransformerBlock<bfloat16>;
template class Transformer2D<float>;
template class Transformer2D<bfloat16>;

}  // namespace daguerre::nn

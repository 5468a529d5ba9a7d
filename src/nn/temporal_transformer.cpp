#include "daguerre/nn/temporal_transformer-inl.hpp"

namespace daguerre::nn {

template class TemporalTransformer<float>;
template class TemporalTransformer<bfloat16>;
template class TemporalTransformerBlock<float>;
template class TemporalTransformerBlock<bfloat16>;
template class SpaceTimeTransformer<float>;
template class SpaceTimeTransformer<bfloat16>;

}  // namespace daguerre::nn

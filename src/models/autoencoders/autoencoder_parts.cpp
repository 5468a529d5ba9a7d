#include "daguerre/models/autoencoders/autoencoder_parts-inl.hpp"

namespace daguerre::models {

template struct AutoencoderLayer<float>;
template struct AutoencoderLayer<bfloat16>;
template class AutoencoderMidBlock<float>;
template class AutoencoderMidBlock<bfloat16>;
template class AutoencoderEncoder<float>;
template class AutoencoderEncoder<bfloat16>;
template class AutoencoderDecoder<float>;
template class AutoencoderDecoder<bfloat16>;

}  // namespace daguerre::models

#include "daguerre/models/autoencoders/autoencoder_kl_mochi-inl.hpp"

namespace daguerre::models {

template class AutoencoderKlMochi<float>;
template class AutoencoderKlMochi<bfloat16>;
template class MochiEncoder<float>;
template class MochiEncoder<bfloat16>;
template class MochiDecoder<float>;
template class MochiDecoder<bfloat16>;

}  // namespace daguerre::models

#include "daguerre/models/autoencoders/autoencoder_kl_wan-inl.hpp"

namespace daguerre::models {

template class AutoencoderKlWan<float>;
template class AutoencoderKlWan<bfloat16>;
template class WanEncoder<float>;
template class WanEncoder<bfloat16>;
template class WanDecoder<float>;
template class WanDecoder<bfloat16>;

}  // namespace daguerre::models

#include "daguerre/models/autoencoders/autoencoder_kl_temporal-inl.hpp"

namespace daguerre::models {

template struct TemporalDecoderLayer<float>;
template struct TemporalDecoderLayer<bfloat16>;
template class TemporalDecoder<float>;
template class TemporalDecoder<bfloat16>;
template class AutoencoderKlTemporal<float>;
template class AutoencoderKlTemporal<bfloat16>;

}  // namespace daguerre::models

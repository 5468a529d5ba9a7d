#include "daguerre/models/autoencoders/autoencoder_kl_ltx-inl.hpp"

namespace daguerre::models {

template class AutoencoderKlLtx<float>;
template class AutoencoderKlLtx<bfloat16>;

}  // namespace daguerre::models

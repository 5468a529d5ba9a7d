#include "daguerre/models/autoencoders/autoencoder_kl_hunyuan_video-inl.hpp"

namespace daguerre::models {

template class detail::EdgeConv3d<float>;
template class detail::EdgeConv3d<bfloat16>;
template class AutoencoderKlHunyuanVideo<float>;
template class AutoencoderKlHunyuanVideo<bfloat16>;
template class HunyuanEncoder<float>;
template class HunyuanEncoder<bfloat16>;
template class HunyuanDecoder<float>;
template class HunyuanDecoder<bfloat16>;

}  // namespace daguerre::models

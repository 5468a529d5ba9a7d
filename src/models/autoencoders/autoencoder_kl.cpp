#include "daguerre/models/autoencoders/autoencoder_kl-inl.hpp"

namespace daguerre::models {

Tensor<float> LatentDistribution::std(const ops::Context& context) const {
  return ops::exponential(context, logvar, 0.5f);
}

Tensor<float> LatentDistribution::sample(const ops::Context& context, const Tensor<float>& noise) const {
  if (!(noise.shape() == mean.shape()))
    throw ArgumentError("autoencoder",
                        "noise " + to_string(noise.shape()) + " for latents " + to_string(mean.shape()));
  return ops::multiply_add(context, mean, std(context), noise);
}

template class AutoencoderKl<float>;
template class AutoencoderKl<bfloat16>;

}  // namespace daguerre::models

#include <algorithm>
#include <cmath>

#include "daguerre/models/autoencoders/autoencoder_kl-inl.hpp"

namespace daguerre::models {

Tensor<float> LatentDistribution::std() const {
  Tensor<float> result(logvar.shape());
  std::transform(logvar.data(), logvar.data() + logvar.size(), result.data(),
                 [](float value) { return std::exp(0.5f * value); });
  return result;
}

Tensor<float> LatentDistribution::sample(const Tensor<float>& noise) const {
  if (!(noise.shape() == mean.shape()))
    throw ArgumentError("autoencoder",
                        "noise " + to_string(noise.shape()) + " for latents " + to_string(mean.shape()));
  auto result = std();
  for (Index i = 0; i < result.size(); ++i)
    result.data()[i] = mean.data()[i] + result.data()[i] * noise.data()[i];
  return result;
}

template class AutoencoderKl<float>;
template class AutoencoderKl<bfloat16>;

}  // namespace daguerre::models

#pragma once

#include <span>
#include <vector>

#include "daguerre/models/denoisers/sd3_transformer.hpp"

namespace daguerre::models {

/// diffusers' SD3ControlNetModel.
struct SD3ControlNetConfig {
  SD3TransformerConfig transformer;  ///< of which it copies the first blocks
  bool zeroes_pooled = true;         ///< reads zeros in the place of the prompt's vector

  /// Throws ConfigError for another class, for options it does not know and for values it does not support.
  static SD3ControlNetConfig from(const Config& config);
};

/// A ControlNet beside Stable Diffusion 3: some of its blocks, which read a picture to keep to as latents
/// beside the noisy ones. Weights must bear diffusers' names.
template <class T>
class SD3ControlNet {
 public:
  SD3ControlNet(const SD3ControlNetConfig& config, const nn::Loader& loader);

  /// What is added behind the transformer's blocks, times `scale`; `control` are latents of the picture, of
  /// the sample's shape, the rest as SD3Transformer takes it. Throws ArgumentError.
  TransformerFeatures operator()(const ops::Context& context, const Tensor<float>& sample,
                                 std::span<const float> timesteps, const Tensor<float>& encoder_hidden_states,
                                 const Tensor<float>& pooled, const Tensor<float>& control,
                                 float scale) const;

  const SD3ControlNetConfig& config() const noexcept { return config_; }

 private:
  SD3ControlNetConfig config_;
  SD3Embedder<T> embedder_;
  nn::Conv2d<float> control_embed_;
  std::vector<nn::JointTransformerBlock<T>> blocks_;
  std::vector<nn::Linear<T>> residuals_;
};

}  // namespace daguerre::models

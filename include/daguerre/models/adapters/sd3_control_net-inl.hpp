#pragma once

#include <string>

#include "daguerre/models/adapters/sd3_control_net.hpp"
#include "daguerre/models/denoisers/sd3_transformer-inl.hpp"

namespace daguerre::models {

template <class T>
SD3ControlNet<T>::SD3ControlNet(const SD3ControlNetConfig& config, const nn::Loader& loader)
    : config_(config),
      embedder_(config.transformer, loader),
      control_embed_(loader.sub("pos_embed_input").sub("proj"), config.transformer.in_channels,
                     config.transformer.dim(), config.transformer.patch_size,
                     ops::ConvGeometry::same(0, static_cast<int>(config.transformer.patch_size))) {
  const Index dim = config.transformer.dim();
  for (int i = 0; i < config.transformer.num_layers; ++i) {
    blocks_.emplace_back(loader.sub("transformer_blocks", i), config.transformer.block(i));
    residuals_.emplace_back(loader.sub("controlnet_blocks", i), dim, dim);
  }
}

template <class T>
TransformerFeatures SD3ControlNet<T>::operator()(const ops::Context& context, const Tensor<float>& sample,
                                                 std::span<const float> timesteps,
                                                 const Tensor<float>& encoder_hidden_states,
                                                 const Tensor<float>& pooled, const Tensor<float>& control,
                                                 float scale) const {
  if (!(control.shape() == sample.shape()))
    throw ArgumentError("sd3_controlnet", "latents of a picture " + to_string(control.shape()) +
                                              " beside a sample " + to_string(sample.shape()));
  const auto vector = config_.zeroes_pooled ? ops::full(context, pooled.shape(), 0.0f) : pooled;
  auto [x, embedding, height, width] = embedder_(context, sample, timesteps, encoder_hidden_states, vector);
  x.picture = ops::add(context, x.picture, control_embed_(context, control).reshape(x.picture.shape()));
  TransformerFeatures result;
  result.sharing = TransformerFeatures::Sharing::rounded_down;
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    x = blocks_[i](context, x, embedding);
    result.residuals.push_back(ops::affine(
        context, residuals_[i].accumulate(context, ops::cast<T>(context, x.picture)), scale, 0.0f));
  }
  return result;
}

extern template class SD3ControlNet<float>;
extern template class SD3ControlNet<bfloat16>;

}  // namespace daguerre::models

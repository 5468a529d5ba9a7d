#pragma once

#include <array>

#include "daguerre/models/vision_encoders/clip_vision.hpp"
#include "daguerre/nn/clip_layer-inl.hpp"
#include "daguerre/nn/conv-inl.hpp"
#include "daguerre/ops/rearrange-inl.hpp"

namespace daguerre::models {

template <class T>
ClipVision<T>::ClipVision(const ClipVisionConfig& config, const nn::Loader& root)
    : config_(config),
      patch_embedding_(root.sub("vision_model.embeddings.patch_embedding"), config.num_channels,
                       config.hidden_size, config.patch_size,
                       ops::ConvGeometry::same(0, static_cast<int>(config.patch_size)), false),
      class_embedding_(root.sub("vision_model.embeddings").tensor("class_embedding", {config.hidden_size})),
      position_embedding_(
          root.sub("vision_model.embeddings.position_embedding")
              .tensor("weight", {1 + (config.image_size / config.patch_size) *
                                         (config.image_size / config.patch_size),
                                 config.hidden_size})),
      pre_layernorm_(root.sub("vision_model.pre_layrnorm"), config.hidden_size, config.layer_norm_eps),
      post_layernorm_(root.sub("vision_model.post_layernorm"), config.hidden_size, config.layer_norm_eps),
      visual_projection_(root.sub("visual_projection"), config.hidden_size, config.projection_dim,
                         {.bias = false}) {
  for (int i = 0; i < config.num_hidden_layers; ++i)
    layers_.emplace_back(root.sub("vision_model.encoder.layers", i),
                         typename nn::ClipLayer<T>::Options{.width = config.hidden_size,
                                                            .inner = config.intermediate_size,
                                                            .heads = config.num_attention_heads,
                                                            .activation = config.hidden_act,
                                                            .epsilon = config.layer_norm_eps});
}

template <class T>
typename ClipVision<T>::Output ClipVision<T>::operator()(const ops::Context& context,
                                                         const Tensor<float>& pixel_values) const {
  const Index size = config_.image_size, width = config_.hidden_size;
  if (pixel_values.rank() != 4 || pixel_values.empty() || pixel_values.dim(1) != size ||
      pixel_values.dim(2) != size || pixel_values.dim(3) != config_.num_channels)
    throw ArgumentError("clip_vision", "pixel_values " + to_string(pixel_values.shape()) + ", expected [N, " +
                                           std::to_string(size) + ", " + std::to_string(size) + ", " +
                                           std::to_string(config_.num_channels) + "]");
  const Index batch = pixel_values.dim(0);
  const auto patches = patch_embedding_(context, pixel_values).reshape({batch, -1, width});
  const auto classes = ops::add_to_each(context, ops::full(context, {batch, 1, width}, 0.0f),
                                        class_embedding_.reshape({1, width}));
  const auto tokens = ops::concat<float>(context, std::array{classes, patches}, 1);
  Output output;
  output.hidden_states.push_back(
      pre_layernorm_.apply<float>(context, ops::add_to_each(context, tokens, position_embedding_)));
  for (const auto& layer : layers_) output.hidden_states.push_back(layer(context, output.hidden_states.back()));
  output.pooled = post_layernorm_.apply<float>(
      context, ops::narrow(context, output.last_hidden_state(), 1, Index{0}, Index{1}).reshape({batch, width}));
  output.image_embeds = visual_projection_.accumulate(context, ops::cast<T>(context, output.pooled));
  return output;
}

extern template class ClipVision<float>;
extern template class ClipVision<bfloat16>;

}  // namespace daguerre::models

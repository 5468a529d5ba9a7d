#pragma once

#include "daguerre/models/denoisers/detail/unet_attention.hpp"
#include "daguerre/nn/added_kv_attention-inl.hpp"
#include "daguerre/nn/temporal_transformer-inl.hpp"

namespace daguerre::models {
namespace detail {

template <class T>
typename nn::Transformer2D<T>::Options transformer_options(const UNetBlockPlace& place,
                                                           const UNetBlockShape& block, int layer) {
  typename nn::Transformer2D<T>::Options options;
  options.in_channels = place.channels();
  options.num_layers = block.transformer_layers.at(static_cast<std::size_t>(layer));
  options.norm_num_groups = place.groups();
  options.use_linear_projection = place.shape.use_linear_projection;
  options.block.num_attention_heads = block.heads;
  options.block.attention_head_dim = place.channels() / block.heads;
  options.block.cross_attention_dim = block.cross_attention_dim;
  options.block.only_cross_attention = block.only_cross_attention;
  return options;
}

}  // namespace detail

template <class T>
UNetAttention<T>::UNetAttention(const nn::Loader& loader, const UNetBlockPlace& place,
                                const UNetBlockShape& block, int layer)
    : first_cross_attention_(place.first_cross_attention + block.cross_attentions(layer)),
      cross_attentions_(block.cross_attentions(layer + 1) - block.cross_attentions(layer)) {
  using Kind = UNetBlockShape::Attention;
  switch (block.attention) {
    case Kind::none:
      return;
    case Kind::pixels:
      attention_.template emplace<nn::SpatialAttention<T>>(
          loader,
          typename nn::SpatialAttention<T>::Options{.channels = place.channels(),
                                                    .heads = block.heads,
                                                    .head_dim = block.head_dim,
                                                    .norm_num_groups = block.attention_groups,
                                                    .norm_epsilon = place.shape.resnet.epsilon,
                                                    .rescale_output_factor = block.output_scale_factor});
      return;
    case Kind::transformer:
      if (block.temporal == UNetBlockShape::Temporal::mixed) {
        attention_.template emplace<nn::SpaceTimeTransformer<T>>(
            loader, typename nn::SpaceTimeTransformer<T>::Options{
                        .in_channels = place.channels(),
                        .num_layers = block.transformer_layers.at(static_cast<std::size_t>(layer)),
                        .num_attention_heads = block.heads,
                        .cross_attention_dim = block.cross_attention_dim});
        return;
      }
      attention_.template emplace<nn::Transformer2D<T>>(loader,
                                                        detail::transformer_options<T>(place, block, layer));
      return;
    case Kind::added_kv:
      attention_.template emplace<nn::AddedKvAttention<T>>(
          loader,
          typename nn::AddedKvAttention<T>::Options{.channels = place.channels(),
                                                    .heads = block.heads,
                                                    .head_dim = block.head_dim,
                                                    .states_dim = block.cross_attention_dim,
                                                    .norm_num_groups = place.groups(),
                                                    .only_cross_attention = block.only_cross_attention,
                                                    .cross_norm = block.cross_norm});
  }
}

template <class T>
Tensor<float> UNetAttention<T>::operator()(const ops::Context& context, Tensor<float> x,
                                           const UNetBlockInputs<T>& inputs) const {
  if (is_none()) return x;
  if (const auto* pixels = std::get_if<nn::SpatialAttention<T>>(&attention_)) return (*pixels)(context, x);
  if (inputs.states == nullptr)
    throw ArgumentError("unet", "this model looks at a prompt, and there is none");
  if (const auto* film = std::get_if<nn::SpaceTimeTransformer<T>>(&attention_))
    return (*film)(context, x, inputs.states, inputs.frames);
  if (const auto* transformer = std::get_if<nn::Transformer2D<T>>(&attention_))
    return (*transformer)(context, x, inputs.states, inputs.key_bias,
                          inputs.decoupled.empty()
                              ? inputs.decoupled
                              : inputs.decoupled.subspan(first_cross_attention_, cross_attentions_));
  return std::get<nn::AddedKvAttention<T>>(attention_)(context, x, *inputs.states, inputs.key_bias);
}

extern template class UNetAttention<float>;
extern template class UNetAttention<bfloat16>;

}  // namespace daguerre::models

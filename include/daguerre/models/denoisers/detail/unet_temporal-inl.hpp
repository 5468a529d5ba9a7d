#pragma once

#include <utility>

#include "daguerre/models/denoisers/detail/unet_temporal.hpp"
#include "daguerre/nn/temporal_conv-inl.hpp"
#include "daguerre/nn/temporal_transformer-inl.hpp"

namespace daguerre::models {

template <class T>
UNetTemporalLayer<T>::UNetTemporalLayer(const nn::Loader& block, int index, const UNetBlockPlace& place,
                                        const UNetBlockShape& shape) {
  if (shape.temporal == UNetBlockShape::Temporal::stacked)
    layer_.template emplace<nn::TemporalConvLayer<T>>(block.sub("temp_convs", index), place.channels(),
                                                      place.groups());
  if (shape.temporal == UNetBlockShape::Temporal::mixed)
    layer_.template emplace<nn::TemporalResnet<T>>(
        block.sub("resnets", index),
        typename nn::TemporalResnet<T>::Options{.channels = place.channels(),
                                                .temb_channels = place.shape.resnet.temb_channels,
                                                .groups = place.groups(),
                                                .epsilon = place.resnet(shape, 0, 0).epsilon});
}

template <class T>
Tensor<float> UNetTemporalLayer<T>::operator()(const ops::Context& context, Tensor<float> x,
                                               const UNetBlockInputs<T>& inputs) const {
  if (const auto* stacked = std::get_if<nn::TemporalConvLayer<T>>(&layer_))
    return (*stacked)(context, x, inputs.frames);
  if (const auto* mixed = std::get_if<nn::TemporalResnet<T>>(&layer_))
    return (*mixed)(context, x, inputs.frames, inputs.film_temb);
  return x;
}

template <class T>
UNetTemporalAttention<T>::UNetTemporalAttention(const nn::Loader& block, int index,
                                                const UNetBlockPlace& place, const UNetBlockShape& shape) {
  const auto& motion = shape.motion;
  if (shape.temporal == UNetBlockShape::Temporal::modules)
    transformer_.emplace(block.sub("motion_modules", index),
                         typename nn::TemporalTransformer<T>::Options{
                             .in_channels = place.channels(),
                             .num_layers = motion.layers.at(static_cast<std::size_t>(index)),
                             .norm_num_groups = place.groups(),
                             .num_attention_heads = motion.heads,
                             .double_self_attention = motion.attends_twice,
                             .attention_head_dim = place.channels() / motion.heads,
                             .positions = motion.positions});
  if (shape.temporal != UNetBlockShape::Temporal::stacked ||
      shape.attention != UNetBlockShape::Attention::transformer)
    return;
  transformer_.emplace(
      block.sub("temp_attentions", index),
      typename nn::TemporalTransformer<T>::Options{.in_channels = place.channels(),
                                                   .norm_num_groups = place.groups(),
                                                   .num_attention_heads = shape.heads,
                                                   .attention_head_dim = place.channels() / shape.heads});
}

extern template class UNetTemporalLayer<float>;
extern template class UNetTemporalLayer<bfloat16>;
extern template class UNetTemporalAttention<float>;
extern template class UNetTemporalAttention<bfloat16>;

}  // namespace daguerre::models

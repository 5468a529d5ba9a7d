#pragma once

#include <array>
#include <cmath>

#include "daguerre/nn/attention-inl.hpp"
#include "daguerre/nn/clip_layer.hpp"

namespace daguerre::nn {

template <class T>
ClipLayer<T>::ClipLayer(const Loader& loader, const Options& options)
    : options_(options),
      engine_(loader.context.engine),
      layer_norm1_(loader.sub("layer_norm1"), options.width, options.epsilon),
      qkv_(Linear<T>::side_by_side(std::array{loader.sub("self_attn.q_proj"), loader.sub("self_attn.k_proj"),
                                              loader.sub("self_attn.v_proj")},
                                   options.width, options.width)),
      out_proj_(loader.sub("self_attn.out_proj"), options.width, options.width),
      layer_norm2_(loader.sub("layer_norm2"), options.width, options.epsilon),
      fc1_(loader.sub("mlp.fc1"), options.width, options.inner, {.activation = options.activation}),
      fc2_(loader.sub("mlp.fc2"), options.inner, options.width) {}

template <class T>
Tensor<float> ClipLayer<T>::operator()(const ops::Context& context, const Tensor<float>& x,
                                       const Tensor<float>* key_bias) const {
  context.check_stop();
  const Index width = options_.width;
  const auto qkv = qkv_(context, layer_norm1_.template apply<T>(context, x));
  using View = ops::TokenView<T>;
  ops::AttentionArguments<T> arguments{View::columns(qkv, 0, width), View::columns(qkv, width, width),
                                       View::columns(qkv, 2 * width, width), options_.heads};
  arguments.scale = 1.0f / std::sqrt(static_cast<float>(width / options_.heads));
  arguments.causal = options_.causal;
  arguments.key_bias = key_bias;
  const auto mixed = out_proj_.accumulate(context, attend(context, *engine_, arguments), &x);
  const auto hidden = fc1_(context, layer_norm2_.template apply<T>(context, mixed));
  return fc2_.accumulate(context, hidden, &mixed);
}

extern template class ClipLayer<float>;
extern template class ClipLayer<bfloat16>;

}  // namespace daguerre::nn

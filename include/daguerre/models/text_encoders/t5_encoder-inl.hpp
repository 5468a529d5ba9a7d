#pragma once

#include <array>

#include "daguerre/models/text_encoders/t5_encoder.hpp"
#include "daguerre/nn/attention-inl.hpp"
#include "daguerre/ops/activation-inl.hpp"
#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/embedding-inl.hpp"
#include "daguerre/ops/host_values.hpp"

namespace daguerre::models {
namespace detail {

/// Files have the table under either name, or twice.
inline ops::WeightSource t5_token_embedding(const T5EncoderConfig& config, const nn::Loader& root) {
  const Shape shape{config.vocab_size, config.d_model};
  const auto encoder = root.sub("encoder.embed_tokens"), shared = root.sub("shared");
  if (!shared.scope.contains("weight")) return encoder.to_be_packed("weight", shape);
  if (encoder.scope.contains("weight")) (void)encoder.to_be_packed("weight", shape);
  return shared.to_be_packed("weight", shape);
}

}  // namespace detail

template <class T>
T5Encoder<T>::T5Encoder(const T5EncoderConfig& config, const nn::Loader& root)
    : config_(config),
      engine_(root.context.engine),
      token_embedding_(root.context, detail::t5_token_embedding(config, root)),
      final_layer_norm_(root.sub("encoder.final_layer_norm"), config.d_model, config.layer_norm_epsilon) {
  for (int i = 0; i < config.num_layers; ++i)
    layers_.push_back(read(root.sub("encoder.block", i), i == 0 || config.bias_each_layer));
}

template <class T>
typename T5Encoder<T>::Layer T5Encoder<T>::read(const nn::Loader& block, bool has_bias) const {
  const Index width = config_.d_model, inner = config_.num_heads * config_.d_kv;
  const auto attention = block.sub("layer.0.SelfAttention"), dense = block.sub("layer.1.DenseReluDense");
  const std::array projections{attention.sub("q"), attention.sub("k"), attention.sub("v")};
  const typename nn::Linear<T>::Options plain{.bias = false};
  std::optional<Tensor<float>> relative_bias;
  if (has_bias)
    relative_bias = attention.sub("relative_attention_bias")
                        .tensor("weight", {config_.relative_attention_num_buckets, Index{config_.num_heads}});
  const auto wi = config_.is_gated
                      ? nn::Linear<T>::side_by_side(std::array{dense.sub("wi_1"), dense.sub("wi_0")}, width,
                                                    config_.d_ff, plain)
                      : nn::Linear<T>(dense.sub("wi"), width, config_.d_ff,
                                      {.bias = false, .activation = config_.activation});
  return {nn::RmsNorm(block.sub("layer.0.layer_norm"), width, config_.layer_norm_epsilon),
          nn::Linear<T>::side_by_side(projections, width, inner, plain),
          nn::Linear<T>(attention.sub("o"), inner, width, plain),
          std::move(relative_bias),
          nn::RmsNorm(block.sub("layer.1.layer_norm"), width, config_.layer_norm_epsilon),
          wi,
          nn::Linear<T>(dense.sub("wo"), config_.d_ff, width, plain)};
}

template <class T>
Tensor<float> T5Encoder<T>::run(const ops::Context& context, const Layer& layer, const Tensor<float>& x,
                                const Tensor<float>& relative_bias, const Tensor<float>* key_bias) const {
  context.check_stop();
  const Index inner = config_.num_heads * config_.d_kv;
  const auto qkv = layer.qkv(context, layer.attention_norm.template apply<T>(context, x));
  using View = ops::TokenView<T>;
  ops::AttentionArguments<T> arguments{View::columns(qkv, 0, inner), View::columns(qkv, inner, inner),
                                       View::columns(qkv, 2 * inner, inner), config_.num_heads};
  arguments.key_bias = key_bias;
  arguments.relative_bias = &relative_bias;
  const auto mixed = layer.o.accumulate(context, nn::attend(context, *engine_, arguments), &x);
  auto hidden = layer.wi(context, layer.feed_forward_norm.template apply<T>(context, mixed));
  if (config_.is_gated) hidden = ops::gated_activation(context, hidden, config_.activation);
  return layer.wo.accumulate(context, hidden, &mixed);
}

template <class T>
Tensor<float> T5Encoder<T>::operator()(const ops::Context& context, const Tensor<std::int32_t>& input_ids,
                                       const Tensor<float>* mask) const {
  if (input_ids.rank() != 2 || input_ids.empty())
    throw ArgumentError("t5_encoder", "input_ids " + to_string(input_ids.shape()) + ", expected [N, L]");
  const Index batch = input_ids.dim(0), length = input_ids.dim(1);
  Tensor<float> key_bias;
  if (mask != nullptr) {
    if (!(mask->shape() == input_ids.shape()))
      throw ArgumentError("t5_encoder",
                          "mask " + to_string(mask->shape()) + ", expected " + to_string(input_ids.shape()));
    // So far below any logit that softmax makes it 0, and finite, so that a row of such keys alone stays
    // defined.
    constexpr float far = 1e30f;
    key_bias = ops::affine(context, *mask, far, -far);
  }

  const auto tokens = token_embedding_(context, ops::host_values(input_ids));
  auto x = ops::cast<float>(context, tokens).reshape({batch, length, config_.d_model});
  const auto buckets = relative_position_buckets(length, config_.relative_attention_num_buckets,
                                                 config_.relative_attention_max_distance);
  Tensor<float> relative_bias;
  for (const auto& layer : layers_) {
    if (layer.relative_bias) relative_bias = ops::embedding_lookup(context, *layer.relative_bias, buckets);
    x = run(context, layer, x, relative_bias, mask == nullptr ? nullptr : &key_bias);
  }
  return final_layer_norm_.template apply<float>(context, x);
}

extern template class T5Encoder<float>;
extern template class T5Encoder<bfloat16>;

}  // namespace daguerre::models

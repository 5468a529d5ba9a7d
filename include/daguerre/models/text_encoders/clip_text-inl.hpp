#pragma once

#include <algorithm>
#include <vector>

#include "daguerre/models/text_encoders/clip_text.hpp"
#include "daguerre/nn/clip_layer-inl.hpp"
#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/embedding-inl.hpp"
#include "daguerre/ops/host_values.hpp"

namespace daguerre::models {

template <class T>
ClipText<T>::ClipText(const ClipTextConfig& config, const nn::Loader& root)
    : config_(config),
      token_embedding_(root.context, root.sub("text_model.embeddings.token_embedding")
                                         .to_be_packed("weight", {config.vocab_size, config.hidden_size})),
      position_embedding_(root.sub("text_model.embeddings.position_embedding")
                              .tensor("weight", {config.max_position_embeddings, config.hidden_size})),
      final_layer_norm_(root.sub("text_model.final_layer_norm"), config.hidden_size, config.layer_norm_eps) {
  const Index width = config.hidden_size;
  for (int i = 0; i < config.num_hidden_layers; ++i)
    layers_.emplace_back(root.sub("text_model.encoder.layers", i),
                         typename nn::ClipLayer<T>::Options{.width = width,
                                                            .inner = config.intermediate_size,
                                                            .heads = config.num_attention_heads,
                                                            .activation = config.hidden_act,
                                                            .epsilon = config.layer_norm_eps,
                                                            .causal = true});
  if (config.projection_dim > 0)
    text_projection_.emplace(root.sub("text_projection"), width, config.projection_dim,
                             typename nn::Linear<T>::Options{.bias = false});
}

template <class T>
Index ClipText<T>::end_of_text(std::span<const std::int32_t> ids) const {
  // Published configurations say 2, which is not the end-of-text id; the original took the position of the
  // largest id.
  const auto found = config_.eos_token_id == 2 ? std::max_element(ids.begin(), ids.end())
                                               : std::find(ids.begin(), ids.end(), config_.eos_token_id);
  return found == ids.end() ? 0 : found - ids.begin();
}

template <class T>
typename ClipText<T>::Output ClipText<T>::operator()(const ops::Context& context,
                                                     const Tensor<std::int32_t>& input_ids,
                                                     const Tensor<float>* mask) const {
  if (input_ids.rank() != 2 || input_ids.empty())
    throw ArgumentError("clip_text", "input_ids " + to_string(input_ids.shape()) + ", expected [N, L]");
  const Index batch = input_ids.dim(0), length = input_ids.dim(1), width = config_.hidden_size;
  if (length > config_.max_position_embeddings)
    throw ArgumentError("clip_text", std::to_string(length) + " tokens, the model has positions for " +
                                         std::to_string(config_.max_position_embeddings));

  Tensor<float> key_bias;
  if (mask != nullptr) {
    if (!(mask->shape() == input_ids.shape()))
      throw ArgumentError("clip_text",
                          "mask " + to_string(mask->shape()) + ", expected " + to_string(input_ids.shape()));
    // So far below any logit that softmax makes it 0, and finite, so that a row of such keys alone stays
    // defined.
    constexpr float far = 1e30f;
    key_bias = ops::affine(context, ops::clamp(context, *mask, 0.0f, 1.0f), far, -far);
  }

  const auto ids = ops::host_values(input_ids);
  const auto tokens = ops::cast<float>(context, token_embedding_(context, ids));
  Output output;
  output.hidden_states.push_back(ops::add_to_each(context, tokens.reshape({batch, length, width}),
                                                  position_embedding_.slice(0, length)));
  for (const auto& layer : layers_)
    output.hidden_states.push_back(
        layer(context, output.hidden_states.back(), mask == nullptr ? nullptr : &key_bias));
  output.last_hidden_state = final_layer_norm(context, output.hidden_states.back());

  std::vector<std::int32_t> ends;
  for (Index first = 0; first < input_ids.size(); first += length)
    ends.push_back(static_cast<std::int32_t>(
        first + end_of_text(ids.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(length)))));
  output.pooled =
      ops::embedding_lookup(context, output.last_hidden_state.reshape({batch * length, width}), ends);
  if (text_projection_)
    output.text_embeds = text_projection_->accumulate(context, ops::cast<T>(context, output.pooled));
  return output;
}

extern template class ClipText<float>;
extern template class ClipText<bfloat16>;

}  // namespace daguerre::models

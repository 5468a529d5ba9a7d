#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <vector>

#include "daguerre/models/text_encoders/clip_text.hpp"
#include "daguerre/nn/attention-inl.hpp"
#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/embedding-inl.hpp"
#include "daguerre/ops/host_values.hpp"
#include "daguerre/ops/rearrange-inl.hpp"

namespace daguerre::models {

template <class T>
ClipText<T>::ClipText(const ClipTextConfig& config, const nn::Loader& root)
    : config_(config),
      engine_(root.context.engine),
      token_embedding_(root.context, root.sub("text_model.embeddings.token_embedding")
                                         .to_be_packed("weight", {config.vocab_size, config.hidden_size})),
      position_embedding_(root.sub("text_model.embeddings.position_embedding")
                              .tensor("weight", {config.max_position_embeddings, config.hidden_size})),
      final_layer_norm_(root.sub("text_model.final_layer_norm"), config.hidden_size, config.layer_norm_eps) {
  const Index width = config.hidden_size, inner = config.intermediate_size;
  for (int i = 0; i < config.num_hidden_layers; ++i) {
    const auto layer = root.sub("text_model.encoder.layers", i);
    const auto attention = layer.sub("self_attn");
    const std::array projections{attention.sub("q_proj"), attention.sub("k_proj"), attention.sub("v_proj")};
    layers_.push_back({nn::LayerNorm(layer.sub("layer_norm1"), width, config.layer_norm_eps),
                       nn::Linear<T>::side_by_side(projections, width, width),
                       nn::Linear<T>(attention.sub("out_proj"), width, width),
                       nn::LayerNorm(layer.sub("layer_norm2"), width, config.layer_norm_eps),
                       nn::Linear<T>(layer.sub("mlp.fc1"), width, inner, {.activation = config.hidden_act}),
                       nn::Linear<T>(layer.sub("mlp.fc2"), inner, width)});
  }
  if (config.projection_dim > 0)
    text_projection_.emplace(root.sub("text_projection"), width, config.projection_dim,
                             typename nn::Linear<T>::Options{.bias = false});
}

template <class T>
Tensor<float> ClipText<T>::run(const ops::Context& context, const Layer& layer, const Tensor<float>& x,
                               const Tensor<float>* key_bias) const {
  context.check_stop();
  const Index width = config_.hidden_size;
  const auto qkv = layer.qkv(context, layer.layer_norm1.template apply<T>(context, x));
  using View = ops::TokenView<T>;
  ops::AttentionArguments<T> arguments{View::columns(qkv, 0, width), View::columns(qkv, width, width),
                                       View::columns(qkv, 2 * width, width), config_.num_attention_heads};
  arguments.scale = 1.0f / std::sqrt(static_cast<float>(width / config_.num_attention_heads));
  arguments.causal = true;
  arguments.key_bias = key_bias;
  const auto mixed = layer.out_proj.accumulate(context, nn::attend(context, *engine_, arguments), &x);
  const auto hidden = layer.fc1(context, layer.layer_norm2.template apply<T>(context, mixed));
  return layer.fc2.accumulate(context, hidden, &mixed);
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
Tensor<float> ClipText<T>::token_rows(const ops::Context& context, std::span<const std::int32_t> ids,
                                      const Inserted* inserted) const {
  if (inserted == nullptr || inserted->positions.empty())
    return ops::cast<float>(context, token_embedding_(context, ids));
  const auto count = static_cast<Index>(inserted->positions.size());
  if (!(inserted->vectors.shape() == Shape{count, config_.hidden_size}))
    throw ArgumentError("clip_text", "vectors " + to_string(inserted->vectors.shape()) + " for " +
                                         std::to_string(count) + " tokens " +
                                         std::to_string(config_.hidden_size) + " wide");
  std::vector<std::int32_t> known(ids.begin(), ids.end());
  std::vector<std::int32_t> rows(ids.size());
  std::iota(rows.begin(), rows.end(), 0);
  for (Index i = 0; i < count; ++i) {
    const Index position = inserted->positions[static_cast<std::size_t>(i)];
    if (position < 0 || position >= static_cast<Index>(ids.size()))
      throw ArgumentError("clip_text", "a vector at " + std::to_string(position) + " of " +
                                           std::to_string(ids.size()) + " tokens");
    known[static_cast<std::size_t>(position)] = 0;
    rows[static_cast<std::size_t>(position)] = static_cast<std::int32_t>(static_cast<Index>(ids.size()) + i);
  }
  const auto table = ops::concat<float>(
      context, std::array{ops::cast<float>(context, token_embedding_(context, known)), inserted->vectors}, 0);
  return ops::embedding_lookup(context, table, rows);
}

template <class T>
typename ClipText<T>::Output ClipText<T>::operator()(const ops::Context& context,
                                                     const Tensor<std::int32_t>& input_ids,
                                                     const Tensor<float>* mask,
                                                     const Inserted* inserted) const {
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
  const auto tokens = token_rows(context, ids, inserted);
  Output output;
  output.hidden_states.push_back(ops::add_to_each(context, tokens.reshape({batch, length, width}),
                                                  position_embedding_.slice(0, length)));
  for (const auto& layer : layers_)
    output.hidden_states.push_back(
        run(context, layer, output.hidden_states.back(), mask == nullptr ? nullptr : &key_bias));
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

#include "daguerre/models/clip_text.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "daguerre/nn/attention.hpp"
#include "daguerre/ops/elementwise.hpp"
#include "daguerre/ops/embedding.hpp"

namespace daguerre::models {

ClipTextConfig ClipTextConfig::from(const weights::Config& config) {
  const std::string class_name = config.class_name();
  if (class_name != "CLIPTextModel" && class_name != "CLIPTextModelWithProjection")
    throw ConfigError("clip_text", config.source() + ": class \"" + class_name +
                                       "\" is not CLIPTextModel or CLIPTextModelWithProjection");
  ClipTextConfig result;
  result.vocab_size = config.get("vocab_size", 49408);
  result.hidden_size = config.require_int("hidden_size");
  result.intermediate_size = config.require_int("intermediate_size");
  result.num_hidden_layers = config.require_int("num_hidden_layers");
  result.num_attention_heads = config.require_int("num_attention_heads");
  result.max_position_embeddings = config.get("max_position_embeddings", 77);
  result.hidden_act = ops::parse_activation(config.get("hidden_act", "quick_gelu"), config.source());
  result.layer_norm_eps = static_cast<float>(config.get("layer_norm_eps", 1e-5));
  result.eos_token_id = config.get("eos_token_id", 2);
  const int projection_dim = config.optional_int("projection_dim").value_or(512);
  if (class_name == "CLIPTextModelWithProjection") result.projection_dim = projection_dim;
  config.expect("model_type", {"\"clip_text_model\"", "null"});
  config.ignore({"architectures", "attention_dropout", "dropout", "bos_token_id", "pad_token_id",
                 "initializer_factor", "initializer_range", "torch_dtype", "dtype", "transformers_version"});
  config.finish();

  const bool possible = result.vocab_size > 0 && result.hidden_size > 0 && result.intermediate_size > 0 &&
                        result.num_hidden_layers > 0 && result.num_attention_heads > 0 &&
                        result.max_position_embeddings > 0 && projection_dim > 0 &&
                        result.hidden_size % result.num_attention_heads == 0;
  if (!possible)
    throw ConfigError(
        "clip_text",
        config.source() + ": sizes must be positive and num_attention_heads must divide hidden_size");
  return result;
}

template <class T>
ClipText<T>::ClipText(const ClipTextConfig& config, const nn::Loader& root)
    : config_(config),
      engine_(root.context.engine),
      token_embedding_(root.sub("text_model.embeddings.token_embedding")
                           .to_be_packed("weight", {config.vocab_size, config.hidden_size})
                           .template to<T>()),
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
Tensor<float> ClipText<T>::run(const ops::Context& context, const Layer& layer,
                               const Tensor<float>& x) const {
  context.check_stop();
  const Index width = config_.hidden_size;
  const auto qkv = layer.qkv(context, layer.layer_norm1.template apply<T>(context, x));
  using View = ops::TokenView<T>;
  ops::AttentionArguments<T> arguments{View::columns(qkv, 0, width), View::columns(qkv, width, width),
                                       View::columns(qkv, 2 * width, width), config_.num_attention_heads};
  arguments.scale = 1.0f / std::sqrt(static_cast<float>(width / config_.num_attention_heads));
  arguments.causal = true;
  const auto mixed = layer.out_proj.accumulate(context, nn::attend(context, *engine_, arguments), &x);
  const auto hidden = layer.fc1(context, layer.layer_norm2.template apply<T>(context, mixed));
  return layer.fc2.accumulate(context, hidden, &mixed);
}

template <class T>
Index ClipText<T>::end_of_text(const std::int32_t* ids, Index length) const {
  // Published configurations say 2, which is not the end-of-text id; the original took the position of the
  // largest id.
  const auto* found = config_.eos_token_id == 2 ? std::max_element(ids, ids + length)
                                                : std::find(ids, ids + length, config_.eos_token_id);
  return found == ids + length ? 0 : found - ids;
}

template <class T>
typename ClipText<T>::Output ClipText<T>::operator()(const ops::Context& context,
                                                     const Tensor<std::int32_t>& input_ids) const {
  if (input_ids.rank() != 2 || input_ids.empty())
    throw ArgumentError("clip_text", "input_ids " + to_string(input_ids.shape()) + ", expected [N, L]");
  const Index batch = input_ids.dim(0), length = input_ids.dim(1), width = config_.hidden_size;
  if (length > config_.max_position_embeddings)
    throw ArgumentError("clip_text", std::to_string(length) + " tokens, the model has positions for " +
                                         std::to_string(config_.max_position_embeddings));

  const auto tokens = ops::cast<float>(context, ops::embedding_lookup(token_embedding_, input_ids.span()));
  const auto positions = position_embedding_.slice(0, length);
  auto x = context.empty<float>({batch, length, width});
  for (Index n = 0; n < batch; ++n) {
    const auto sum = ops::add(context, tokens.slice(n * length, (n + 1) * length), positions);
    std::copy_n(sum.data(), sum.size(), x.data() + n * length * width);
  }

  Output output;
  output.hidden_states.push_back(x);
  for (const auto& layer : layers_)
    output.hidden_states.push_back(run(context, layer, output.hidden_states.back()));
  output.last_hidden_state = final_layer_norm(context, output.hidden_states.back());

  output.pooled = Tensor<float>({batch, width});
  for (Index n = 0; n < batch; ++n) {
    const Index at = n * length + end_of_text(input_ids.data() + n * length, length);
    std::copy_n(output.last_hidden_state.data() + at * width, width, output.pooled.data() + n * width);
  }
  if (text_projection_)
    output.text_embeds = text_projection_->accumulate(context, ops::cast<T>(context, output.pooled));
  return output;
}

template class ClipText<float>;
template class ClipText<bfloat16>;

}  // namespace daguerre::models

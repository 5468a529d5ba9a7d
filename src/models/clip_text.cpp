#include "daguerre/models/clip_text.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "daguerre/nn/attention.hpp"
#include "daguerre/ops/elementwise.hpp"
#include "daguerre/ops/embedding.hpp"

namespace daguerre::models {

namespace {

/// Attributes that transformers gives every configuration, in one version or another. None is looked at by
/// CLIP; those that would change it have another value than the default only where somebody pruned heads.
void leave_common_keys(const weights::Config& config) {
  config.expect("pruned_heads", {"{}"});
  config.ignore({"add_cross_attention",
                 "architectures",
                 "attention_dropout",
                 "attn_implementation",
                 "bad_words_ids",
                 "begin_suppress_tokens",
                 "bos_token_id",
                 "chunk_size_feed_forward",
                 "cross_attention_hidden_size",
                 "decoder_start_token_id",
                 "diversity_penalty",
                 "do_sample",
                 "dropout",
                 "dtype",
                 "early_stopping",
                 "encoder_no_repeat_ngram_size",
                 "exponential_decay_length_penalty",
                 "finetuning_task",
                 "forced_bos_token_id",
                 "forced_eos_token_id",
                 "gradient_checkpointing",
                 "id2label",
                 "initializer_factor",
                 "initializer_range",
                 "is_decoder",
                 "is_encoder_decoder",
                 "label2id",
                 "length_penalty",
                 "max_length",
                 "min_length",
                 "no_repeat_ngram_size",
                 "num_beam_groups",
                 "num_beams",
                 "num_labels",
                 "num_return_sequences",
                 "output_attentions",
                 "output_hidden_states",
                 "output_scores",
                 "pad_token_id",
                 "prefix",
                 "problem_type",
                 "remove_invalid_values",
                 "repetition_penalty",
                 "return_dict",
                 "return_dict_in_generate",
                 "sep_token_id",
                 "suppress_tokens",
                 "task_specific_params",
                 "temperature",
                 "tf_legacy_loss",
                 "tie_encoder_decoder",
                 "tie_word_embeddings",
                 "tokenizer_class",
                 "top_k",
                 "top_p",
                 "torch_dtype",
                 "torchscript",
                 "transformers_version",
                 "typical_p",
                 "use_bfloat16",
                 "use_cache"});
}

/// The part that is the text encoder's where `config` is a whole CLIPConfig, else `config`.
weights::Config text_part(const weights::Config& config) {
  if (!config.has("text_config")) {
    // Some converters wrote a CLIPConfig's type above the keys of its text_config.
    config.expect("model_type", {"\"clip_text_model\"", "\"clip\""});
    return config;
  }
  auto part = weights::Config::parse(*config.json("text_config"), config.source() + ", text_config");
  part.expect("model_type", {"\"clip_text_model\""});
  return part;
}

ClipTextConfig read(const weights::Config& config, bool with_projection) {
  ClipTextConfig result;
  result.vocab_size = config.get("vocab_size", 49408);
  result.hidden_size = config.get("hidden_size", 512);
  result.intermediate_size = config.get("intermediate_size", 2048);
  result.num_hidden_layers = config.get("num_hidden_layers", 12);
  result.num_attention_heads = config.get("num_attention_heads", 8);
  result.max_position_embeddings = config.get("max_position_embeddings", 77);
  result.hidden_act = ops::parse_activation(config.get("hidden_act", "quick_gelu"), config.source());
  result.layer_norm_eps = static_cast<float>(config.get("layer_norm_eps", 1e-5));
  result.eos_token_id = config.get("eos_token_id", 49407);
  result.use_attention_mask = config.get("use_attention_mask", false);
  if (with_projection)
    result.projection_dim = config.optional_int("projection_dim").value_or(512);
  else
    config.ignore({"projection_dim"});
  leave_common_keys(config);
  config.finish();

  const bool possible = result.vocab_size > 0 && result.hidden_size > 0 && result.intermediate_size > 0 &&
                        result.num_hidden_layers > 0 && result.num_attention_heads > 0 &&
                        result.max_position_embeddings > 0 &&
                        (result.projection_dim > 0 || !with_projection) && result.layer_norm_eps >= 0.0f &&
                        result.hidden_size % result.num_attention_heads == 0;
  if (!possible)
    throw ConfigError(
        "clip_text",
        config.source() + ": sizes must be positive and num_attention_heads must divide hidden_size");
  return result;
}

}  // namespace

ClipTextConfig ClipTextConfig::from(const weights::Config& config) {
  const std::string class_name = config.class_name();
  if (class_name != "CLIPTextModel" && class_name != "CLIPTextModelWithProjection")
    throw ConfigError("clip_text", config.source() + ": class \"" + class_name +
                                       "\" is not CLIPTextModel or CLIPTextModelWithProjection");
  return read(text_part(config), class_name == "CLIPTextModelWithProjection");
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
Index ClipText<T>::end_of_text(const std::int32_t* ids, Index length) const {
  // Published configurations say 2, which is not the end-of-text id; the original took the position of the
  // largest id.
  const auto* found = config_.eos_token_id == 2 ? std::max_element(ids, ids + length)
                                                : std::find(ids, ids + length, config_.eos_token_id);
  return found == ids + length ? 0 : found - ids;
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
    key_bias = Tensor<float>(mask->shape());
    std::transform(mask->data(), mask->data() + mask->size(), key_bias.data(),
                   [](float kept) { return kept != 0.0f ? 0.0f : -1e30f; });
  }

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
    output.hidden_states.push_back(
        run(context, layer, output.hidden_states.back(), mask == nullptr ? nullptr : &key_bias));
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

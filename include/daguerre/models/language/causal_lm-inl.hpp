#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "daguerre/models/language/causal_lm.hpp"
#include "daguerre/models/language/key_value_cache-inl.hpp"
#include "daguerre/models/language/rotary_frequencies.hpp"
#include "daguerre/nn/attention-inl.hpp"
#include "daguerre/ops/activation-inl.hpp"
#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/embedding-inl.hpp"
#include "daguerre/ops/heads-inl.hpp"
#include "daguerre/ops/host_values.hpp"
#include "daguerre/ops/rearrange-inl.hpp"

namespace daguerre::models {
namespace detail {

inline constexpr const char* causal_lm_name = "causal_lm";

/// An RMS norm's scale; Gemma's files hold what is beyond 1.
inline Tensor<float> language_norm_scale(const nn::Loader& loader, const LanguageConfig& config, Index size) {
  auto scale = loader.tensor("weight", {size});
  if (config.norm != LanguageConfig::Norm::rms_plus_one) return scale;
  return ops::affine(loader.context, scale, 1.0f, 1.0f);
}

/// The norm of the heads of queries or keys.
inline ops::HeadNorm language_head_norm(const nn::Loader& loader, const LanguageConfig& config) {
  ops::HeadNorm norm;
  norm.gamma = language_norm_scale(loader, config, config.head_dim);
  norm.epsilon = config.norm_epsilon;
  return norm;
}

inline const LanguageConfig& checked_language_config(const LanguageConfig& config) {
  config.check(config.model_type);
  return config;
}

}  // namespace detail

template <class T>
CausalLm<T>::Norm::Norm(const nn::Loader& loader, const LanguageConfig& config) {
  if (config.norm == LanguageConfig::Norm::layer)
    layer_.emplace(loader, config.hidden_size, config.norm_epsilon);
  else
    rms_.emplace(detail::language_norm_scale(loader, config, config.hidden_size), config.norm_epsilon);
}

template <class T>
CausalLm<T>::CausalLm(const LanguageConfig& config, const nn::Loader& root, const CausalLmOptions& options)
    : config_(detail::checked_language_config(config)),
      engine_(root.context.engine),
      embed_tokens_(
          root.context,
          root.sub("embed_tokens").to_be_packed("weight", {config.vocab_size, config.hidden_size})) {
  const int count = options.layers.value_or(config.num_hidden_layers);
  if (count < 0 || count > config.num_hidden_layers)
    throw ArgumentError(detail::causal_lm_name,
                        std::to_string(count) + " layers of " + std::to_string(config.num_hidden_layers));
  if (config.learned_positions)
    embed_positions_.emplace(
        root.context, root.sub("embed_positions")
                          .to_be_packed("weight", {config.max_position_embeddings, config.hidden_size}));
  for (int i = 0; i < count; ++i) layers_.push_back(read(root.sub("layers", i)));
  if (count < config.num_hidden_layers) return;
  norm_.emplace(root.sub("norm"), config_);
  if (options.head)
    lm_head_.emplace(root.sub(config.tie_word_embeddings ? "embed_tokens" : "lm_head"), config.hidden_size,
                     config.vocab_size, typename nn::Linear<T>::Options{.bias = false});
}

template <class T>
typename CausalLm<T>::Layer CausalLm<T>::read(const nn::Loader& loader) const {
  const Index width = config_.hidden_size, inner = config_.intermediate_size;
  const Index queries = config_.num_attention_heads * config_.head_dim, keys = config_.key_value_size();
  const auto attention = loader.sub("self_attn"), dense = loader.sub("mlp");
  const typename nn::Linear<T>::Options qkv_options{.bias = config_.query_key_value_bias};
  const bool fused = attention.sub("qkv_proj").scope.contains("weight");
  const std::array projections{attention.sub("q_proj"), attention.sub("k_proj"), attention.sub("v_proj")};
  auto qkv =
      fused ? nn::Linear<T>(attention.sub("qkv_proj"), width, queries + 2 * keys, qkv_options)
            : nn::Linear<T>::side_by_side(projections, width, std::array{queries, keys, keys}, qkv_options);
  const bool bias = config_.feed_forward_bias;
  auto up = config_.gated
                ? nn::Linear<T>::side_by_side(std::array{dense.sub("up_proj"), dense.sub("gate_proj")}, width,
                                              inner, {.bias = bias})
                : nn::Linear<T>(dense.sub("up_proj"), width, inner,
                                {.bias = bias, .activation = config_.activation});
  const bool after = config_.norms_after;
  Layer layer{
      .attention_norm = Norm(loader.sub("input_layernorm"), config_),
      .qkv = std::move(qkv),
      .o = nn::Linear<T>(attention.sub("o_proj"), queries, width, {.bias = config_.attention_output_bias}),
      .query_norm = std::nullopt,
      .key_norm = std::nullopt,
      .after_attention = std::nullopt,
      .feed_forward_norm =
          Norm(loader.sub(after ? "pre_feedforward_layernorm" : "post_attention_layernorm"), config_),
      .up = std::move(up),
      .down = nn::Linear<T>(dense.sub("down_proj"), inner, width, {.bias = bias}),
      .after_feed_forward = std::nullopt};
  if (config_.query_key_norm) {
    layer.query_norm = detail::language_head_norm(attention.sub("q_norm"), config_);
    layer.key_norm = detail::language_head_norm(attention.sub("k_norm"), config_);
  }
  if (after) {
    layer.after_attention.emplace(loader.sub("post_attention_layernorm"), config_);
    layer.after_feed_forward.emplace(loader.sub("post_feedforward_layernorm"), config_);
  }
  return layer;
}

template <class T>
int CausalLm<T>::state_number(int index) const {
  const int number = index < 0 ? index + config_.num_hidden_layers + 1 : index;
  if (number < 0 || number > layers())
    throw ArgumentError(detail::causal_lm_name, "hidden state " + std::to_string(index) + ", there are " +
                                                    std::to_string(layers()) + " layers");
  return number;
}

template <class T>
Tensor<float> CausalLm<T>::embed(const ops::Context& context, const Tensor<std::int32_t>& input_ids) const {
  if (input_ids.rank() != 2 || input_ids.empty())
    throw ArgumentError(detail::causal_lm_name,
                        "input_ids " + to_string(input_ids.shape()) + ", expected [N, L]");
  const auto tokens = ops::cast<float>(context, embed_tokens_(context, ops::host_values(input_ids)))
                          .reshape({input_ids.dim(0), input_ids.dim(1), config_.hidden_size});
  return config_.embedding_scale == 1.0f ? tokens
                                         : ops::affine(context, tokens, config_.embedding_scale, 0.0f);
}

template <class T>
int CausalLm<T>::needed_layers(const CausalLmInputs<T>& inputs) const {
  using Logits = typename CausalLmInputs<T>::Logits;
  if (inputs.logits != Logits::none && !lm_head_)
    throw ArgumentError(detail::causal_lm_name, "no logits: the model was loaded without its head");
  if (inputs.logits != Logits::none || inputs.cache != nullptr) {
    if (layers() < config_.num_hidden_layers)
      throw ArgumentError(detail::causal_lm_name,
                          "a cache is for all " + std::to_string(config_.num_hidden_layers) +
                              " layers, and " + std::to_string(layers()) + " were loaded");
    return layers();
  }
  int needed = 0;
  for (const int index : inputs.hidden_states) needed = std::max(needed, state_number(index));
  return needed;
}

template <class T>
Tensor<std::int32_t> CausalLm<T>::positions(const CausalLmInputs<T>& inputs, const Call& call) const {
  const Index tokens = call.batch * call.length;
  const auto axes = static_cast<Index>(std::max<std::size_t>(1, config_.rotary.mrope_section.size()));
  auto given = inputs.position_ids;
  if (given.empty()) {
    std::vector<std::int32_t> counted;
    for (Index i = 0; i < tokens; ++i)
      counted.push_back(static_cast<std::int32_t>(call.before + i % call.length));
    given = Tensor<std::int32_t>::copy_of({call.batch, call.length}, counted);
  }
  const bool is_for_each_axis = axes > 1 && given.shape() == Shape{axes, call.batch, call.length};
  if (!is_for_each_axis && !(given.shape() == Shape{call.batch, call.length}))
    throw ArgumentError(detail::causal_lm_name, "position_ids " + to_string(given.shape()) + " for " +
                                                    std::to_string(call.batch) + " x " +
                                                    std::to_string(call.length) + " tokens");
  for (const std::int32_t position : ops::host_values(given))
    if (position < 0 || (config_.learned_positions && position >= config_.max_position_embeddings))
      throw ArgumentError(detail::causal_lm_name, "position " + std::to_string(position) +
                                                      ", the model knows 0 to " +
                                                      std::to_string(config_.max_position_embeddings - 1));
  if (is_for_each_axis) return given.reshape({axes, tokens});
  const std::vector<Tensor<std::int32_t>> alike(static_cast<std::size_t>(axes), given.reshape({1, tokens}));
  return concat_leading<std::int32_t>(alike);
}

template <class T>
void CausalLm<T>::set_rotation(const Tensor<std::int32_t>& positions, Call& call) const {
  const auto values = ops::host_values(positions);
  const Index length = Index{*std::max_element(values.begin(), values.end())} + 1;
  const auto table = [&](const RotaryConfig& rotary) {
    return ops::rotary_table(positions, rotary_frequencies(rotary, config_.head_dim, length));
  };
  call.rotation = table(config_.rotary);
  if (config_.window_rotary) call.window_rotation = table(*config_.window_rotary);
}

template <class T>
void CausalLm<T>::set_mask(const ops::Context& context, const Tensor<float>& mask, Call& call) const {
  const Shape expected{call.batch, call.before + call.length};
  if (!(mask.shape() == expected))
    throw ArgumentError(detail::causal_lm_name, "attention_mask " + to_string(mask.shape()) + ", expected " +
                                                    to_string(expected) + ", tokens in the cache included");
  // So far below any logit that softmax makes it 0, and finite, so that a token that sees none but such keys
  // stays defined.
  constexpr float far = 1e30f;
  call.key_bias = ops::affine(context, mask, far, -far);
}

template <class T>
Tensor<T> CausalLm<T>::attend(const ops::Context& context, int index, const Call& call,
                              const Tensor<T>& qkv) const {
  using View = ops::TokenView<T>;
  const auto& layer = layers_[static_cast<std::size_t>(index)];
  const Index tokens = call.batch * call.length, window = config_.window(index);
  const Index queries = config_.num_attention_heads * config_.head_dim, keys = config_.key_value_size();
  const auto& rotation = window > 0 && call.window_rotation ? call.window_rotation : call.rotation;
  const auto* table = rotation ? &*rotation : nullptr;
  // Each sequence has positions of its own, so that all are turned as one.
  const auto row = qkv.reshape({1, tokens, -1});
  const auto turned = [&](Index column, Index width, const std::optional<ops::HeadNorm>& norm) {
    const std::array streams{ops::HeadStream<T>{View::columns(row, column, width), norm ? &*norm : nullptr}};
    return ops::join_heads<T>(context, streams, config_.head_dim, table)
        .reshape({call.batch, call.length, width});
  };
  auto query = View::columns(qkv, 0, queries), key = View::columns(qkv, queries, keys),
       value = View::columns(qkv, queries + keys, keys);
  Tensor<T> turned_queries, turned_keys;  // what the views are of
  if (layer.query_norm) {
    turned_queries = turned(0, queries, layer.query_norm);
    turned_keys = turned(queries, keys, layer.key_norm);
    query = View::all(turned_queries);
    key = View::all(turned_keys);
  } else if (table != nullptr) {
    turned_queries = turned(0, queries + keys, std::nullopt);
    query = View::columns(turned_queries, 0, queries);
    key = View::columns(turned_queries, queries, keys);
  }
  if (call.cache != nullptr) {
    call.cache->append(context, index, key, value);
    key = call.cache->keys(index, call.before + call.length);
    value = call.cache->values(index, call.before + call.length);
  }
  return nn::attend(context, *engine_,
                    ops::AttentionArguments<T>{.query = query,
                                               .key = key,
                                               .value = value,
                                               .heads = config_.num_attention_heads,
                                               .scale = config_.attention_scale,
                                               .key_bias = call.key_bias.empty() ? nullptr : &call.key_bias,
                                               .causal = true,
                                               .key_heads = config_.num_key_value_heads,
                                               .first_query = call.before,
                                               .window = window,
                                               .soft_cap = config_.attention_soft_cap});
}

template <class T>
Tensor<float> CausalLm<T>::run(const ops::Context& context, int index, const Call& call,
                               const Tensor<float>& x) const {
  context.check_stop();
  const auto& layer = layers_[static_cast<std::size_t>(index)];
  // What is added to y, through a norm where there is one.
  const auto added = [&](const nn::Linear<T>& linear, const Tensor<T>& from, const std::optional<Norm>& norm,
                         const Tensor<float>& y) {
    if (!norm) return linear.accumulate(context, from, &y);
    return ops::add(context, y, norm->template apply<float>(context, linear.accumulate(context, from)));
  };
  const auto qkv = layer.qkv(context, layer.attention_norm.template apply<T>(context, x));
  const auto mixed = added(layer.o, attend(context, index, call, qkv), layer.after_attention, x);
  auto hidden = layer.up(context, layer.feed_forward_norm.template apply<T>(context, mixed));
  if (config_.gated) hidden = ops::gated_activation(context, hidden, config_.activation);
  return added(layer.down, hidden, layer.after_feed_forward, mixed);
}

template <class T>
Tensor<float> CausalLm<T>::logits_of(const ops::Context& context, const Tensor<float>& x) const {
  const auto logits = lm_head_->accumulate(context, norm_->template apply<T>(context, x));
  const float cap = config_.logit_soft_cap;
  if (cap == 0.0f) return logits;
  return ops::affine(context, ops::hyperbolic_tangent(context, logits, 1.0f / cap), cap, 0.0f);
}

template <class T>
CausalLmOutput CausalLm<T>::operator()(const ops::Context& context, const CausalLmInputs<T>& inputs) const {
  const int needed = needed_layers(inputs);
  auto x = inputs.inputs_embeds.empty() ? embed(context, inputs.input_ids) : inputs.inputs_embeds;
  if (x.rank() != 3 || x.empty() || x.dim(2) != config_.hidden_size)
    throw ArgumentError(detail::causal_lm_name, "inputs_embeds " + to_string(x.shape()) +
                                                    ", expected [N, L, " +
                                                    std::to_string(config_.hidden_size) + "]");
  Call call{.batch = x.dim(0),
            .length = x.dim(1),
            .before = inputs.cache == nullptr ? 0 : inputs.cache->length(),
            .cache = inputs.cache};
  if (call.cache != nullptr && call.cache->layers() != layers())
    throw ArgumentError(detail::causal_lm_name, "a cache of " + std::to_string(call.cache->layers()) +
                                                    " layers, the model has " + std::to_string(layers()));
  const auto at = positions(inputs, call);
  if (!inputs.attention_mask.empty()) set_mask(context, inputs.attention_mask, call);
  if (embed_positions_)
    x = ops::add(
        context, x,
        ops::cast<float>(context, (*embed_positions_)(context, ops::host_values(at))).reshape(x.shape()));
  else
    set_rotation(at, call);

  CausalLmOutput output;
  output.hidden_states.resize(inputs.hidden_states.size());
  const auto keep = [&](int number, const Tensor<float>& state) {
    for (std::size_t i = 0; i < inputs.hidden_states.size(); ++i)
      if (state_number(inputs.hidden_states[i]) == number) output.hidden_states[i] = state;
  };
  for (int i = 0; i < needed; ++i) {
    keep(i, x);
    x = run(context, i, call, x);
  }
  if (needed < config_.num_hidden_layers) {
    keep(needed, x);
    return output;
  }
  if (call.cache != nullptr) call.cache->advance(call.length);
  using Logits = typename CausalLmInputs<T>::Logits;
  if (std::any_of(inputs.hidden_states.begin(), inputs.hidden_states.end(),
                  [&](int index) { return state_number(index) == needed; }))
    keep(needed, norm_->template apply<float>(context, x));
  if (inputs.logits != Logits::none)
    output.logits =
        logits_of(context, inputs.logits == Logits::all ? x : ops::narrow(context, x, 1, call.length - 1, 1));
  return output;
}

extern template class CausalLm<float>;
extern template class CausalLm<bfloat16>;

}  // namespace daguerre::models

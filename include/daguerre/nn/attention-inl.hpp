#pragma once

#include <algorithm>
#include <array>
#include <cmath>

#include "daguerre/nn/attention.hpp"
#include "daguerre/nn/linear-inl.hpp"
#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/heads-inl.hpp"
#include "daguerre/ops/norm-inl.hpp"
#include "daguerre/ops/rearrange-inl.hpp"

namespace daguerre::nn {
namespace detail {

inline ops::HeadNorm read_head_norm(const Loader& loader, const QueryKeyNorm& options, Index heads,
                                    Index head_dim) {
  ops::HeadNorm norm{.kind = options.kind,
                     .gamma = {},
                     .beta = {},
                     .epsilon = options.epsilon,
                     .across_heads = options.across_heads};
  const Index size = options.across_heads ? checked_multiply(heads, head_dim) : head_dim;
  if (options.elementwise_affine) {
    norm.gamma = loader.tensor("weight", {size});
    if (options.kind == ops::HeadNorm::Kind::layer_norm) norm.beta = loader.tensor("bias", {size});
  }
  return norm;
}

}  // namespace detail

template <class T>
Attention<T>::Attention(const Loader& loader, const AttentionOptions& options)
    : options_(options), engine_(loader.context.engine) {
  if (options.heads < 1 || options.head_dim < 1)
    throw ConfigError("attention", loader.scope.prefix() + ": " + std::to_string(options.heads) +
                                       " heads of " + std::to_string(options.head_dim) + " are not possible");

  const bool old_names = !loader.scope.contains("to_q.weight") && loader.scope.contains("query.weight");
  const Loader query = loader.sub(old_names ? "query" : "to_q");
  const Loader key = loader.sub(old_names ? "key" : "to_k");
  const Loader value = loader.sub(old_names ? "value" : "to_v");
  const Loader out = old_names ? loader.sub("proj_attn") : loader.sub("to_out", 0);

  const Index inner = options.heads * options.head_dim;
  const typename Linear<T>::Options with_bias{.bias = options.bias};
  if (options.cross_attention_dim == 0) {
    to_qkv_ = Linear<T>::side_by_side(std::array{query, key, value}, options.query_dim, inner, with_bias);
  } else {
    to_q_.emplace(query, options.query_dim, inner, with_bias);
    to_kv_ = Linear<T>::side_by_side(std::array{key, value}, options.cross_attention_dim, inner, with_bias);
  }
  to_out_.emplace(out, inner, options.query_dim, typename Linear<T>::Options{.bias = options.out_bias});
  if (options.qk_norm) {
    norm_q_ = detail::read_head_norm(loader.sub("norm_q"), *options.qk_norm, options.heads, options.head_dim);
    norm_k_ = detail::read_head_norm(loader.sub("norm_k"), *options.qk_norm, options.heads, options.head_dim);
  }
}

template <class T>
Tensor<float> Attention<T>::operator()(const ops::Context& context, const Tensor<T>& x,
                                       const Tensor<T>* encoder_hidden_states, const Tensor<float>* key_bias,
                                       const Tensor<float>* residual,
                                       std::span<const DecoupledKeys> decoupled) const {
  const bool is_cross = options_.cross_attention_dim != 0;
  if (is_cross != (encoder_hidden_states != nullptr))
    throw ArgumentError("attention", is_cross ? "encoder_hidden_states are needed"
                                              : "self-attention takes no encoder_hidden_states");
  const Index inner = options_.heads * options_.head_dim;
  using View = ops::TokenView<T>;
  ops::AttentionArguments<T> arguments;
  Tensor<T> q, kv;  // what the views borrow
  if (is_cross) {
    const Index films = encoder_hidden_states->dim(0);
    if (films == 0 || x.dim(0) % films != 0)
      throw ArgumentError("attention", "encoder_hidden_states " + to_string(encoder_hidden_states->shape()) +
                                           " beside " + to_string(x.shape()));
    // Frames that look at the same tokens are one long sequence of queries.
    q = (*to_q_)(context, x).reshape({films, -1, inner});
    kv = (*to_kv_)(context, *encoder_hidden_states);
    arguments = {View::all(q), View::columns(kv, 0, inner), View::columns(kv, inner, inner)};
  } else {
    q = (*to_qkv_)(context, x);
    arguments = {View::columns(q, 0, inner), View::columns(q, inner, inner),
                 View::columns(q, 2 * inner, inner)};
  }
  Tensor<T> normed_q, normed_k;
  if (norm_q_) {
    using Stream = ops::HeadStream<T>;
    normed_q = ops::join_heads<T>(context, std::array{Stream{arguments.query, &*norm_q_}}, options_.head_dim);
    normed_k = ops::join_heads<T>(context, std::array{Stream{arguments.key, &*norm_k_}}, options_.head_dim);
    arguments.query = View::all(normed_q);
    arguments.key = View::all(normed_k);
  }
  arguments.heads = options_.heads;
  arguments.scale = options_.scale_qk ? 1.0f / std::sqrt(static_cast<float>(options_.head_dim)) : 1.0f;
  arguments.key_bias = key_bias;
  arguments.causal = options_.causal;
  auto found = attend(context, *engine_, arguments);
  if (!decoupled.empty()) found = with_decoupled(context, std::move(found), arguments, decoupled);
  return to_out_->accumulate(context, found.reshape({x.dim(0), x.dim(1), inner}), residual);
}

template <class T>
Tensor<float> Attention<T>::of_one_token(const ops::Context& context, const Tensor<T>& encoder_hidden_states,
                                         const Tensor<float>& residual) const {
  const Index films = encoder_hidden_states.dim(0);
  if (options_.cross_attention_dim == 0 || encoder_hidden_states.rank() != 3 ||
      encoder_hidden_states.dim(1) != 1 || films == 0 || residual.dim(0) % films != 0)
    throw ArgumentError("attention", "encoder_hidden_states " + to_string(encoder_hidden_states.shape()) +
                                         ", expected one token for each of " + to_string(residual.shape()));
  const Index inner = options_.heads * options_.head_dim;
  const auto kv = (*to_kv_)(context, encoder_hidden_states);
  const auto found = to_out_->accumulate(context, ops::narrow(context, kv, -1, inner, inner));
  return ops::add_rows(context, residual.reshape({films, -1, residual.dim(-1)}),
                       found.reshape({films, residual.dim(-1)}))
      .reshape(residual.shape());
}

template <class T>
Tensor<T> Attention<T>::with_decoupled(const ops::Context& context, Tensor<T> found,
                                       const ops::AttentionArguments<T>& arguments,
                                       std::span<const DecoupledKeys> decoupled) const {
  const Index inner = options_.heads * options_.head_dim;
  auto sum = ops::cast<float>(context, found);
  for (const auto& more : decoupled) {
    if (more.scale == 0.0f) continue;
    const auto& shape = more.keys_values.shape();
    if (shape.rank() != 3 || shape[0] != arguments.query.batch || shape[2] != 2 * inner)
      throw ArgumentError("attention", "keys and values " + to_string(shape) + " of a picture, expected [" +
                                           std::to_string(arguments.query.batch) + ", tokens, " +
                                           std::to_string(2 * inner) + "]");
    using View = ops::TokenView<T>;
    const auto kv = ops::cast<T>(context, more.keys_values);
    auto others = arguments;
    others.key = View::columns(kv, 0, inner);
    others.value = View::columns(kv, inner, inner);
    others.key_bias = nullptr;
    const auto seen = ops::cast<float>(context, attend(context, *engine_, others));
    sum = ops::add(context, sum, ops::affine(context, seen, more.scale, 0.0f));
  }
  return ops::cast<T>(context, sum);
}

template <class T>
SpatialAttention<T>::SpatialAttention(const Loader& loader, const Options& options)
    : attention_(loader, {.query_dim = options.channels,
                          .heads = options.heads,
                          .head_dim = options.head_dim > 0 ? options.head_dim
                                                           : options.channels / std::max(options.heads, 1),
                          .bias = true}),
      rescale_output_factor_(options.rescale_output_factor) {
  if (options.norm_num_groups != 0)
    norm_.emplace(loader.sub("group_norm"), options.channels, options.norm_num_groups, options.norm_epsilon);
}

template <class T>
Tensor<float> SpatialAttention<T>::operator()(const ops::Context& context, const Tensor<float>& x) const {
  const auto pixels = x.reshape({x.dim(0), -1, x.dim(-1)});
  const auto normed = norm_ ? norm_->template apply<T>(context, pixels) : ops::cast<T>(context, pixels);
  if (rescale_output_factor_ == 1.0f)
    return attention_(context, normed, nullptr, nullptr, &pixels).reshape(x.shape());
  return ops::add(context, attention_(context, normed), pixels, 1.0f / rescale_output_factor_)
      .reshape(x.shape());
}

extern template class Attention<float>;
extern template class Attention<bfloat16>;
extern template class SpatialAttention<float>;
extern template class SpatialAttention<bfloat16>;

}  // namespace daguerre::nn

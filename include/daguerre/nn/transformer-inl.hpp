#pragma once

#include <numeric>
#include <string>
#include <vector>

#include "daguerre/nn/attention-inl.hpp"
#include "daguerre/nn/transformer.hpp"
#include "daguerre/ops/activation-inl.hpp"
#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/embedding.hpp"
#include "daguerre/ops/rearrange-inl.hpp"

namespace daguerre::nn {

template <class T>
typename FeedForward<T>::Kind FeedForward<T>::kind_of(const std::string& activation_fn) {
  using ops::Activation;
  if (activation_fn == "geglu") return {Activation::gelu, true};
  if (activation_fn == "swiglu") return {Activation::silu, true};
  if (activation_fn == "gelu") return {Activation::gelu, false};
  if (activation_fn == "gelu-approximate") return {Activation::gelu_tanh, false};
  if (activation_fn == "geglu-approximate") return {Activation::quick_gelu, false};
  if (activation_fn == "linear-silu") return {Activation::silu, false};
  throw ConfigError("feed_forward", "activation_fn \"" + activation_fn +
                                        "\" is not known; known are: geglu, swiglu, gelu, gelu-approximate, "
                                        "geglu-approximate, linear-silu");
}

template <class T>
FeedForward<T>::FeedForward(const Loader& loader, Index dim, const Options& options)
    : FeedForward(loader, dim, options.inner != 0 ? options.inner : checked_multiply(dim, 4), options.bias,
                  kind_of(options.activation_fn)) {}

template <class T>
FeedForward<T>::FeedForward(const Loader& loader, Index dim, Index inner, bool bias, const Kind& kind)
    : kind_(kind),
      proj_in_(loader.sub("net", 0).sub("proj"), dim, kind.gated ? 2 * inner : inner,
               {.bias = bias, .activation = kind.gated ? ops::Activation::none : kind.activation}),
      proj_out_(loader.sub("net", 2), inner, dim, {.bias = bias}) {}

template <class T>
Tensor<float> FeedForward<T>::operator()(const ops::Context& context, const Tensor<T>& x,
                                         const Tensor<float>* residual) const {
  auto hidden = proj_in_(context, x);
  if (kind_.gated) hidden = ops::gated_activation(context, hidden, kind_.activation);
  return proj_out_.accumulate(context, hidden, residual);
}

namespace detail {

/// The table of positions of a transformer block, `[rows, dim]`.
inline Tensor<float> read_positions(const Loader& loader, Index rows, Index dim) {
  if (loader.scope.contains("pe")) return loader.tensor("pe", {1, rows, dim}).reshape({rows, dim});
  std::vector<float> numbers(static_cast<std::size_t>(rows));
  std::iota(numbers.begin(), numbers.end(), 0.0f);
  const auto halves = ops::timestep_embedding(loader.context, numbers, dim, {.flip_sin_to_cos = false});
  return ops::swap_axes(loader.context, halves.reshape({rows, 2, dim / 2})).reshape({rows, dim});
}

inline constexpr float transformer_norm_epsilon = 1e-5f;

inline AttentionOptions transformer_attention_options(const TransformerOptions& options, bool is_cross) {
  return {.query_dim = options.dim,
          .cross_attention_dim = is_cross ? options.cross_attention_dim : 0,
          .heads = options.num_attention_heads,
          .head_dim = options.attention_head_dim};
}

}  // namespace detail

template <class T>
BasicTransformerBlock<T>::BasicTransformerBlock(const Loader& loader, const TransformerOptions& options)
    : only_cross_attention_(options.only_cross_attention),
      double_self_attention_(options.double_self_attention),
      norm1_(loader.sub("norm1"), options.dim, detail::transformer_norm_epsilon),
      attn1_(loader.sub("attn1"),
             detail::transformer_attention_options(options, options.only_cross_attention)),
      norm3_(loader.sub("norm3"), options.dim, detail::transformer_norm_epsilon),
      ff_(loader.sub("ff"), options.dim, options.activation_fn) {
  if (options.positions > 0)
    positions_ = detail::read_positions(loader.sub("pos_embed"), options.positions, options.dim);
  if (options.cross_attention_dim == 0 && !options.double_self_attention) return;
  norm2_.emplace(loader.sub("norm2"), options.dim, detail::transformer_norm_epsilon);
  attn2_.emplace(loader.sub("attn2"),
                 detail::transformer_attention_options(options, !options.double_self_attention));
}

template <class T>
Tensor<T> BasicTransformerBlock<T>::seen(const ops::Context& context, const LayerNorm& norm,
                                         const Tensor<float>& x) const {
  if (positions_.empty()) return norm.template apply<T>(context, x);
  if (x.dim(1) > positions_.dim(0))
    throw ArgumentError("transformer",
                        std::to_string(x.dim(1)) + " frames, and the model knows the places of " +
                            std::to_string(positions_.dim(0)) + ": a longer film needs windows of frames");
  return ops::cast<T>(context, ops::add_to_each(context, norm.template apply<float>(context, x),
                                                positions_.slice(0, x.dim(1))));
}

template <class T>
Tensor<float> BasicTransformerBlock<T>::operator()(const ops::Context& context, const Tensor<float>& x,
                                                   const Tensor<T>* encoder_hidden_states,
                                                   const Tensor<float>* key_bias,
                                                   std::span<const DecoupledKeys> decoupled) const {
  return perceptron(context, attentions(context, x, encoder_hidden_states, key_bias, decoupled));
}

template <class T>
Tensor<float> BasicTransformerBlock<T>::attentions(const ops::Context& context, const Tensor<float>& x,
                                                   const Tensor<T>* encoder_hidden_states,
                                                   const Tensor<float>* key_bias,
                                                   std::span<const DecoupledKeys> decoupled) const {
  const auto normed = seen(context, norm1_, x);
  auto y = only_cross_attention_ ? attn1_(context, normed, encoder_hidden_states, key_bias, &x)
                                 : attn1_(context, normed, nullptr, nullptr, &x);
  if (double_self_attention_)
    y = (*attn2_)(context, seen(context, *norm2_, y), nullptr, nullptr, &y);
  else if (attn2_ && decoupled.empty() && encoder_hidden_states != nullptr &&
           encoder_hidden_states->dim(1) == 1)
    y = attn2_->of_one_token(context, *encoder_hidden_states, y);
  else if (attn2_)
    y = (*attn2_)(context, seen(context, *norm2_, y), encoder_hidden_states, key_bias, &y, decoupled);
  return y;
}

template <class T>
Transformer2D<T>::Transformer2D(const Loader& loader, const Options& options)
    : norm_(loader.sub("norm"), options.in_channels, options.norm_num_groups, 1e-6f),
      proj_in_(loader.sub("proj_in"), options.in_channels,
               options.block.num_attention_heads * options.block.attention_head_dim,
               {.stored_as_conv = !options.use_linear_projection}),
      proj_out_(loader.sub("proj_out"), options.block.num_attention_heads * options.block.attention_head_dim,
                options.in_channels, {.stored_as_conv = !options.use_linear_projection}) {
  auto block = options.block;
  block.dim = block.num_attention_heads * block.attention_head_dim;
  for (int i = 0; i < options.num_layers; ++i)
    blocks_.emplace_back(loader.sub("transformer_blocks", i), block);
}

template <class T>
Tensor<float> Transformer2D<T>::operator()(const ops::Context& context, const Tensor<float>& x,
                                           const Tensor<T>* encoder_hidden_states,
                                           const Tensor<float>* key_bias,
                                           std::span<const std::vector<DecoupledKeys>> decoupled) const {
  if (!decoupled.empty() && decoupled.size() != blocks_.size())
    throw ArgumentError("transformer", "keys of pictures for " + std::to_string(decoupled.size()) +
                                           " attentions, there are " + std::to_string(blocks_.size()));
  const auto pixels = x.reshape({x.dim(0), -1, x.dim(-1)});
  auto tokens = proj_in_.accumulate(context, norm_.template apply<T>(context, pixels));
  for (std::size_t i = 0; i < blocks_.size(); ++i)
    tokens = blocks_[i](context, tokens, encoder_hidden_states, key_bias,
                        decoupled.empty() ? std::span<const DecoupledKeys>() : decoupled[i]);
  return proj_out_.accumulate(context, ops::cast<T>(context, tokens), &pixels).reshape(x.shape());
}

extern template class FeedForward<float>;
extern template class FeedForward<bfloat16>;
extern template class BasicTransformerBlock<float>;
extern template class BasicTransformerBlock<bfloat16>;
extern template class Transformer2D<float>;
extern template class Transformer2D<bfloat16>;

}  // namespace daguerre::nn

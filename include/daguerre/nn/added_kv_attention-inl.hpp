#pragma once

#include <array>
#include <cmath>

#include "daguerre/nn/added_kv_attention.hpp"
#include "daguerre/nn/attention-inl.hpp"
#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/rearrange-inl.hpp"

namespace daguerre::nn {
namespace detail {

inline constexpr float added_kv_epsilon = 1e-5f;
inline constexpr int cross_norm_groups = 32;

}  // namespace detail

template <class T>
TokenNorm<T>::TokenNorm(const Loader& loader, Index width, CrossNorm kind) {
  if (kind == CrossNorm::layer_norm) layer_norm_.emplace(loader, width, detail::added_kv_epsilon);
  if (kind == CrossNorm::group_norm)
    group_norm_.emplace(loader, width, detail::cross_norm_groups, detail::added_kv_epsilon);
}

template <class T>
Tensor<T> TokenNorm<T>::operator()(const ops::Context& context, const Tensor<T>& states) const {
  if (layer_norm_) return layer_norm_->template apply<T>(context, ops::cast<float>(context, states));
  return group_norm_ ? group_norm_->template apply<T>(context, states) : states;
}

template <class T>
AddedKvAttention<T>::AddedKvAttention(const Loader& loader, const Options& options)
    : options_(options),
      engine_(loader.context.engine),
      group_norm_(loader.sub("group_norm"), options.channels, options.norm_num_groups,
                  detail::added_kv_epsilon),
      to_q_(loader.sub("to_q"), options.channels, options.heads * options.head_dim),
      add_kv_proj_(Linear<T>::side_by_side(std::array{loader.sub("add_k_proj"), loader.sub("add_v_proj")},
                                           options.states_dim, options.heads * options.head_dim)),
      to_out_(loader.sub("to_out", 0), options.heads * options.head_dim, options.channels) {
  if (options.heads < 1 || options.head_dim < 1)
    throw ConfigError("attention", loader.scope.prefix() + ": " + std::to_string(options.heads) +
                                       " heads of " + std::to_string(options.head_dim) + " are not possible");
  // The layer norm is made for the pixels' width there.
  if (options.cross_norm == CrossNorm::layer_norm && options.states_dim != options.channels)
    throw ConfigError("attention", loader.scope.prefix() + ": cross_attention_norm \"layer_norm\" needs as " +
                                       "many channels as the prompt's tokens have, " +
                                       std::to_string(options.states_dim) + "; there are " +
                                       std::to_string(options.channels));
  if (options.cross_norm != CrossNorm::none)
    norm_cross_.emplace(loader.sub("norm_cross"), options.states_dim, options.cross_norm);
  if (!options.only_cross_attention)
    to_kv_ = Linear<T>::side_by_side(std::array{loader.sub("to_k"), loader.sub("to_v")}, options.channels,
                                     options.heads * options.head_dim);
}

template <class T>
Tensor<float> AddedKvAttention<T>::operator()(const ops::Context& context, const Tensor<float>& x,
                                              const Tensor<T>& states, const Tensor<float>* key_bias) const {
  const auto pixels = x.reshape({x.dim(0), -1, x.dim(-1)});
  const auto normed = group_norm_.apply<T>(context, pixels);
  auto kv = add_kv_proj_(context, norm_cross_ ? (*norm_cross_)(context, states) : states);
  Tensor<float> bias;
  if (key_bias != nullptr) bias = *key_bias;
  if (to_kv_) {
    kv = ops::concat<T>(context, std::array{kv, (*to_kv_)(context, normed)}, 1);
    if (key_bias != nullptr)  // all pixels are looked at
      bias = ops::concat<float>(
          context, std::array{bias, ops::full(context, {pixels.dim(0), pixels.dim(1)}, 0.0f)}, 1);
  }

  const auto q = to_q_(context, normed);
  const Index inner = options_.heads * options_.head_dim;
  using View = ops::TokenView<T>;
  ops::AttentionArguments<T> arguments{View::all(q), View::columns(kv, 0, inner),
                                       View::columns(kv, inner, inner), options_.heads};
  arguments.scale = 1.0f / std::sqrt(static_cast<float>(options_.head_dim));
  arguments.key_bias = key_bias == nullptr ? nullptr : &bias;
  return to_out_.accumulate(context, attend(context, *engine_, arguments), &pixels).reshape(x.shape());
}

extern template class TokenNorm<float>;
extern template class TokenNorm<bfloat16>;
extern template class AddedKvAttention<float>;
extern template class AddedKvAttention<bfloat16>;

}  // namespace daguerre::nn

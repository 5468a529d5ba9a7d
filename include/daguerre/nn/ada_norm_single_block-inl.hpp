#pragma once

#include "daguerre/nn/ada_norm-inl.hpp"
#include "daguerre/nn/ada_norm_single_block.hpp"
#include "daguerre/nn/transformer-inl.hpp"
#include "daguerre/ops/elementwise-inl.hpp"

namespace daguerre::nn {
namespace detail {

inline AttentionOptions ada_norm_single_attention(const AdaNormSingleOptions& options,
                                                  Index cross_attention_dim) {
  return {.query_dim = options.dim,
          .cross_attention_dim = cross_attention_dim,
          .heads = options.num_attention_heads,
          .head_dim = options.attention_head_dim,
          .bias = options.attention_bias};
}

}  // namespace detail

template <class T>
AdaNormSingleBlock<T>::AdaNormSingleBlock(const Loader& loader, const AdaNormSingleOptions& options)
    : norm_eps_(options.norm_eps),
      scale_shift_table_(
          loader.tensor("scale_shift_table", {AdaLayerNormSingle<T>::parts, options.dim}).reshape({-1})),
      attn1_(loader.sub("attn1"), detail::ada_norm_single_attention(options, 0)),
      ff_(loader.sub("ff"), options.dim, options.activation_fn) {
  if (options.cross_attention_dim != 0)
    attn2_.emplace(loader.sub("attn2"),
                   detail::ada_norm_single_attention(options, options.cross_attention_dim));
}

template <class T>
Tensor<float> AdaNormSingleBlock<T>::operator()(const ops::Context& context, const Tensor<float>& x,
                                                const Tensor<float>& modulation, const Tensor<T>* prompt,
                                                const Tensor<float>* key_bias, Index sequences) const {
  using Norm = AdaLayerNormSingle<T>;
  context.check_stop();
  if (sequences < 1 || x.rank() != 3 || x.dim(1) % sequences != 0)
    throw ArgumentError("ada_norm_single", "tokens " + to_string(x.shape()) + " do not divide into " +
                                               std::to_string(sequences) + " sequences");
  const auto own = ops::add_to_each(context, modulation, scale_shift_table_);
  const auto normed =
      ops::modulated_layer_norm<T>(context, x, {own, Norm::scale_msa}, {own, Norm::shift_msa}, norm_eps_);
  const auto each = normed.reshape({x.dim(0) * sequences, x.dim(1) / sequences, x.dim(2)});
  auto y = ops::add_gated(context, x, {own, Norm::gate_msa}, attn1_(context, each).reshape(x.shape()));
  if (attn2_) y = (*attn2_)(context, ops::cast<T>(context, y), prompt, key_bias, &y);
  const auto inner =
      ops::modulated_layer_norm<T>(context, y, {own, Norm::scale_mlp}, {own, Norm::shift_mlp}, norm_eps_);
  return ops::add_gated(context, y, {own, Norm::gate_mlp}, ff_(context, inner));
}

extern template class AdaNormSingleBlock<float>;
extern template class AdaNormSingleBlock<bfloat16>;

}  // namespace daguerre::nn

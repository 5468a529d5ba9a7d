#pragma once

#include "daguerre/nn/ada_norm-inl.hpp"
#include "daguerre/nn/joint_attention-inl.hpp"
#include "daguerre/nn/joint_transformer.hpp"
#include "daguerre/nn/transformer-inl.hpp"

namespace daguerre::nn {
namespace detail {

inline constexpr float joint_epsilon = 1e-6f;
inline constexpr const char* joint_activation = "gelu-approximate";

}  // namespace detail

template <class T>
JointTransformerBlock<T>::JointTransformerBlock(const Loader& loader, const JointTransformerOptions& options)
    : norm1_(loader.sub("norm1"), options.dim, detail::joint_epsilon, options.use_dual_attention),
      attn_(loader.sub("attn"), {.qkv = {.dim = options.dim,
                                         .heads = options.num_attention_heads,
                                         .head_dim = options.attention_head_dim,
                                         .qk_norm = options.qk_norm},
                                 .context_pre_only = options.context_pre_only}),
      ff_(loader.sub("ff"), options.dim, detail::joint_activation) {
  if (options.use_dual_attention)
    attn2_.emplace(loader.sub("attn2"), AttentionOptions{.query_dim = options.dim,
                                                         .heads = options.num_attention_heads,
                                                         .head_dim = options.attention_head_dim,
                                                         .bias = true,
                                                         .qk_norm = options.qk_norm});
  if (options.context_pre_only) {
    norm1_looked_.emplace(loader.sub("norm1_context"), options.dim, options.dim, detail::joint_epsilon);
  } else {
    norm1_context_.emplace(loader.sub("norm1_context"), options.dim, detail::joint_epsilon);
    ff_context_.emplace(loader.sub("ff_context"), options.dim, detail::joint_activation);
  }
}

template <class T>
Tensor<float> JointTransformerBlock<T>::finished(const ops::Context& context, const Tensor<float>& x,
                                                 const Tensor<float>& attended,
                                                 const Tensor<float>& modulation,
                                                 const FeedForward<T>& feed_forward,
                                                 const Tensor<float>* second) const {
  using Norm = AdaLayerNormZero<T>;
  auto y = ops::add_gated(context, x, {modulation, Norm::gate_msa}, attended);
  if (second != nullptr) y = ops::add_gated(context, y, {modulation, Norm::gate_msa2}, *second);
  const auto normed = ops::modulated_layer_norm<T>(context, y, {modulation, Norm::scale_mlp},
                                                   {modulation, Norm::shift_mlp}, detail::joint_epsilon);
  return ops::add_gated(context, y, {modulation, Norm::gate_mlp}, feed_forward(context, normed));
}

template <class T>
JointTokens JointTransformerBlock<T>::operator()(const ops::Context& context, const JointTokens& x,
                                                 const Tensor<float>& embedding,
                                                 const ops::RotaryTable* rotation) const {
  context.check_stop();
  const auto modulation = norm1_.modulation(context, embedding);
  Tensor<float> prompt_modulation;
  if (norm1_context_) prompt_modulation = norm1_context_->modulation(context, embedding);
  const auto normed_prompt = norm1_context_ ? norm1_context_->apply(context, x.prompt, prompt_modulation)
                                            : (*norm1_looked_)(context, x.prompt, embedding);
  const auto attended = attn_(context, norm1_.apply(context, x.picture, modulation), normed_prompt, rotation);

  JointTokens result;
  Tensor<float> second;
  if (attn2_) second = (*attn2_)(context, norm1_.apply_second(context, x.picture, modulation));
  result.picture =
      finished(context, x.picture, attended.picture, modulation, ff_, attn2_ ? &second : nullptr);
  if (ff_context_)
    result.prompt = finished(context, x.prompt, attended.prompt, prompt_modulation, *ff_context_, nullptr);
  return result;
}

extern template class JointTransformerBlock<float>;
extern template class JointTransformerBlock<bfloat16>;

}  // namespace daguerre::nn

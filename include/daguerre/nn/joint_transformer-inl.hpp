#pragma once

#include <array>

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
      ff_(loader.sub("ff"), options.dim,
          typename FeedForward<T>::Options{detail::joint_activation, options.mlp_dim}) {
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
    ff_context_.emplace(loader.sub("ff_context"), options.dim,
                        typename FeedForward<T>::Options{detail::joint_activation, options.mlp_dim});
  }
}

template <class T>
Tensor<float> JointTransformerBlock<T>::finished(const ops::Context& context, const Tensor<float>& x,
                                                 const Tensor<float>& attended,
                                                 const Tensor<float>& modulation,
                                                 std::span<const std::int32_t> rows,
                                                 const FeedForward<T>& feed_forward,
                                                 const Tensor<float>* second) const {
  using Norm = AdaLayerNormZero<T>;
  auto y = ops::add_gated(context, x, {modulation, Norm::gate_msa, rows}, attended);
  if (second != nullptr) y = ops::add_gated(context, y, {modulation, Norm::gate_msa2, rows}, *second);
  const auto normed =
      ops::modulated_layer_norm<T>(context, y, {modulation, Norm::scale_mlp, rows},
                                   {modulation, Norm::shift_mlp, rows}, detail::joint_epsilon);
  return ops::add_gated(context, y, {modulation, Norm::gate_mlp, rows}, feed_forward(context, normed));
}

template <class T>
JointTokens JointTransformerBlock<T>::operator()(const ops::Context& context, const JointTokens& x,
                                                 const Tensor<float>& embedding,
                                                 const ops::RotaryTable* rotation,
                                                 const Steering* picture) const {
  context.check_stop();
  const auto modulation = norm1_.modulation(context, picture == nullptr ? embedding : picture->embedding);
  const auto rows =
      picture == nullptr ? std::span<const std::int32_t>() : std::span<const std::int32_t>(picture->rows);
  Tensor<float> prompt_modulation;
  if (norm1_context_) prompt_modulation = norm1_context_->modulation(context, embedding);
  const auto normed_prompt = norm1_context_ ? norm1_context_->apply(context, x.prompt, prompt_modulation)
                                            : (*norm1_looked_)(context, x.prompt, embedding);
  const auto attended =
      attn_(context, norm1_.apply(context, x.picture, modulation, rows), normed_prompt, rotation);

  JointTokens result;
  Tensor<float> second;
  if (attn2_) second = (*attn2_)(context, norm1_.apply_second(context, x.picture, modulation, rows));
  result.picture =
      finished(context, x.picture, attended.picture, modulation, rows, ff_, attn2_ ? &second : nullptr);
  if (ff_context_)
    result.prompt =
        finished(context, x.prompt, attended.prompt, prompt_modulation, {}, *ff_context_, nullptr);
  return result;
}

template <class T>
SingleTransformerBlock<T>::SingleTransformerBlock(const Loader& loader, const Options& options)
    : heads_(options.num_attention_heads),
      head_dim_(options.attention_head_dim),
      engine_(loader.context.engine),
      norm_(loader.sub("norm"), options.dim, detail::joint_epsilon),
      qkv_(loader.sub("attn"), {.dim = options.dim,
                                .heads = options.num_attention_heads,
                                .head_dim = options.attention_head_dim,
                                .qk_norm = options.qk_norm}),
      proj_mlp_(loader.sub("proj_mlp"), options.dim, mlp_dim(options),
                {.activation = ops::Activation::gelu_tanh}),
      proj_out_(loader.sub("proj_out"), heads_ * head_dim_ + mlp_dim(options), options.dim) {}

template <class T>
Tensor<float> SingleTransformerBlock<T>::operator()(const ops::Context& context, const Tensor<float>& x,
                                                    const Steering& steering,
                                                    const ops::RotaryTable* rotation) const {
  context.check_stop();
  const auto modulation = norm_.modulation(context, steering.embedding);
  Tensor<T> joined;
  {
    const auto normed = norm_.apply(context, x, modulation, steering.rows);
    const auto qkv = qkv_(context, normed);
    const auto attended = attend_jointly<T>(context, *engine_, std::array{QkvStream<T>{qkv_, qkv}}, heads_,
                                            head_dim_, rotation);
    joined = ops::concat<T>(context, std::array{attended, proj_mlp_(context, normed)}, -1);
  }
  return ops::add_gated(context, x, {modulation, AdaLayerNormZeroSingle<T>::gate, steering.rows},
                        proj_out_.accumulate(context, joined));
}

extern template class JointTransformerBlock<float>;
extern template class JointTransformerBlock<bfloat16>;
extern template class SingleTransformerBlock<float>;
extern template class SingleTransformerBlock<bfloat16>;

}  // namespace daguerre::nn

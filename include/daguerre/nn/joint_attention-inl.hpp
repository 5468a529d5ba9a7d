#pragma once

#include <array>
#include <cmath>
#include <vector>

#include "daguerre/nn/attention-inl.hpp"
#include "daguerre/nn/joint_attention.hpp"
#include "daguerre/ops/rearrange-inl.hpp"

namespace daguerre::nn {

template <class T>
QkvProjection<T>::QkvProjection(const Loader& loader, const Options& options, const Names& names)
    : inner_(options.heads * options.head_dim),
      to_qkv_(Linear<T>::side_by_side(
          std::array{loader.sub(names.query), loader.sub(names.key), loader.sub(names.value)}, options.dim,
          inner_, {.bias = options.bias})) {
  if (options.heads < 1 || options.head_dim < 1)
    throw ConfigError("attention", loader.scope.prefix() + ": " + std::to_string(options.heads) +
                                       " heads of " + std::to_string(options.head_dim) + " are not possible");
  if (!options.qk_norm) return;
  norm_query_ =
      detail::read_head_norm(loader.sub(names.norm_query), *options.qk_norm, options.heads, options.head_dim);
  norm_key_ =
      detail::read_head_norm(loader.sub(names.norm_key), *options.qk_norm, options.heads, options.head_dim);
}

template <class T>
Tensor<T> attend_jointly(const ops::Context& context, const ops::Engine& engine,
                         std::span<const QkvStream<T>> streams, int heads, Index head_dim,
                         const ops::RotaryTable* rotation) {
  // One stream's need no other place; what is neither normalised nor turned is read where it is.
  const auto joined = [&](std::span<const ops::HeadStream<T>> parts, const ops::RotaryTable* turn,
                          Tensor<T>& owner) {
    if (parts.size() == 1 && parts.front().norm == nullptr && turn == nullptr) return parts.front().tokens;
    owner = ops::join_heads<T>(context, parts, head_dim, turn);
    return ops::TokenView<T>::all(owner);
  };
  std::vector<ops::HeadStream<T>> queries, keys, values;
  for (const auto& [projection, qkv] : streams) {
    queries.push_back(projection.queries(qkv));
    keys.push_back(projection.keys(qkv));
    values.push_back(projection.values(qkv));
  }
  Tensor<T> query, key, value;  // what the views borrow
  ops::AttentionArguments<T> arguments;
  arguments.query = joined(queries, rotation, query);
  arguments.key = joined(keys, rotation, key);
  arguments.value = joined(values, nullptr, value);
  arguments.heads = heads;
  arguments.scale = 1.0f / std::sqrt(static_cast<float>(head_dim));
  return attend(context, engine, arguments);
}

namespace detail {

template <class T>
typename QkvProjection<T>::Options prompt_projection(const typename JointAttention<T>::Options& options) {
  auto result = options.qkv;
  if (options.prompt_dim != 0) result.dim = options.prompt_dim;
  return result;
}

}  // namespace detail

template <class T>
JointAttention<T>::JointAttention(const Loader& loader, const Options& options)
    : heads_(options.qkv.heads),
      head_dim_(options.qkv.head_dim),
      engine_(loader.context.engine),
      qkv_(loader, options.qkv),
      added_qkv_(loader, detail::prompt_projection<T>(options), QkvProjection<T>::added),
      to_out_(loader.sub("to_out", 0), heads_ * head_dim_, options.qkv.dim) {
  if (!options.context_pre_only)
    to_add_out_.emplace(loader.sub("to_add_out"), heads_ * head_dim_,
                        detail::prompt_projection<T>(options).dim);
}

template <class T>
typename JointAttention<T>::Output JointAttention<T>::operator()(const ops::Context& context,
                                                                 const Tensor<T>& picture,
                                                                 const Tensor<T>& prompt,
                                                                 const ops::RotaryTable* rotation) const {
  Tensor<T> attended;
  if (prompt.empty()) {
    const auto own = qkv_(context, picture);
    attended = attend_jointly<T>(context, *engine_, std::array{QkvStream<T>{qkv_, own}}, heads_, head_dim_,
                                 rotation);
    return {to_out_.accumulate(context, attended), Tensor<float>(prompt.shape())};
  }
  {
    const auto added = added_qkv_(context, prompt), own = qkv_(context, picture);
    attended = attend_jointly<T>(context, *engine_,
                                 std::array{QkvStream<T>{added_qkv_, added}, QkvStream<T>{qkv_, own}}, heads_,
                                 head_dim_, rotation);
  }
  const Index before = prompt.dim(1);
  Output output;
  output.picture = to_out_.accumulate(context, ops::narrow(context, attended, 1, before, picture.dim(1)));
  if (to_add_out_)
    output.prompt = to_add_out_->accumulate(context, ops::narrow(context, attended, 1, 0, before));
  return output;
}

extern template class QkvProjection<float>;
extern template class QkvProjection<bfloat16>;
extern template Tensor<float> attend_jointly(const ops::Context&, const ops::Engine&,
                                             std::span<const QkvStream<float>>, int, Index,
                                             const ops::RotaryTable*);
extern template Tensor<bfloat16> attend_jointly(const ops::Context&, const ops::Engine&,
                                                std::span<const QkvStream<bfloat16>>, int, Index,
                                                const ops::RotaryTable*);
extern template class JointAttention<float>;
extern template class JointAttention<bfloat16>;

}  // namespace daguerre::nn

#pragma once

#include "daguerre/ops/activation-inl.hpp"
#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/embedding-inl.hpp"
#include "daguerre/ops/heads-inl.hpp"
#include "daguerre/ops/joint_modulation-inl.hpp"
#include "daguerre/ops/modulation-inl.hpp"
#include "daguerre/ops/norm-inl.hpp"
#include "daguerre/ops/operations.hpp"
#include "daguerre/ops/pool-inl.hpp"
#include "daguerre/ops/rearrange-inl.hpp"
#include "daguerre/ops/resample-inl.hpp"
#include "daguerre/ops/space_time-inl.hpp"
#include "daguerre/ops/tokens-inl.hpp"

namespace daguerre::ops {

template <class T>
Tensor<T> OperationsFor<T>::group_norm(const Context& context, const Tensor<float>& x,
                                       const Tensor<float>& gamma, const Tensor<float>& beta, int groups,
                                       float epsilon, Activation activation,
                                       const GroupNormExtras& extras) const {
  return host::group_norm<T>(context, x, gamma, beta, groups, epsilon, activation, extras);
}

template <class T>
Tensor<T> OperationsFor<T>::group_norm_rounded(const Context& context, const Tensor<T>& x,
                                               const Tensor<float>& gamma, const Tensor<float>& beta,
                                               int groups, float epsilon, Activation activation,
                                               const GroupNormExtras& extras) const {
  return host::group_norm<T>(context, x, gamma, beta, groups, epsilon, activation, extras);
}

template <class T>
Tensor<T> OperationsFor<T>::layer_norm(const Context& context, const Tensor<float>& x,
                                       const Tensor<float>& gamma, const Tensor<float>& beta,
                                       float epsilon) const {
  return host::layer_norm<T>(context, x, gamma, beta, epsilon);
}

template <class T>
Tensor<T> OperationsFor<T>::rms_norm(const Context& context, const Tensor<float>& x,
                                     const Tensor<float>& gamma, float epsilon, Activation activation) const {
  return host::rms_norm<T>(context, x, gamma, epsilon, activation);
}

template <class T>
Tensor<T> OperationsFor<T>::modulated_layer_norm(const Context& context, const Tensor<float>& x,
                                                 const ChannelChunk& scale, const ChannelChunk& shift,
                                                 float epsilon) const {
  return host::modulated_layer_norm<T>(context, x, scale, shift, epsilon);
}

template <class T>
Tensor<T> OperationsFor<T>::joint_modulated_norm(const Context& context, const Tensor<float>& x,
                                                 Index prompt_length, const Tensor<float>& gamma,
                                                 const Tensor<float>& beta, const JointChunk& scale,
                                                 const JointChunk& shift, float epsilon) const {
  return host::joint_modulated_norm<T>(context, x, prompt_length, gamma, beta, scale, shift, epsilon);
}

template <class T>
Tensor<T> OperationsFor<T>::modulated_rms_norm(const Context& context, const Tensor<float>& x,
                                               const ChannelChunk& scale, const ChannelChunk& shift,
                                               float epsilon, Activation activation) const {
  return host::modulated_rms_norm<T>(context, x, scale, shift, epsilon, activation);
}

template <class T>
Tensor<T> OperationsFor<T>::join_heads(const Context& context, std::span<const HeadStream<T>> streams,
                                       Index head_dim, const RotaryTable* rotation) const {
  return host::join_heads(context, streams, head_dim, rotation);
}

template <class T>
Tensor<T> OperationsFor<T>::append_tokens(const Context& context, Tensor<T> store, Index kept,
                                          const TokenView<T>& tokens, Index most) const {
  return host::append_tokens(context, std::move(store), kept, tokens, most);
}

template <class T>
Tensor<T> OperationsFor<T>::gated_activation(const Context& context, const Tensor<T>& x,
                                             Activation activation) const {
  return host::gated_activation(context, x, activation);
}

template <class T>
Tensor<T> OperationsFor<T>::concat_channels(const Context& context, const Tensor<float>& a,
                                            const Tensor<float>& b) const {
  return host::concat_channels<T>(context, a, b);
}

template <class T>
Tensor<T> OperationsFor<T>::concat(const Context& context, std::span<const Tensor<T>> parts, int axis) const {
  return host::concat(context, parts, axis);
}

template <class T>
Tensor<T> OperationsFor<T>::crop(const Context& context, const Tensor<T>& x, std::span<const Index> begin,
                                 const Shape& extents) const {
  return host::crop(context, x, begin, extents);
}

template <class T>
Tensor<T> OperationsFor<T>::repeat_edges(const Context& context, const Tensor<T>& x, Index rows,
                                         Index columns) const {
  return host::repeat_edges(context, x, rows, columns);
}

template <class T>
Tensor<T> OperationsFor<T>::swap_axes(const Context& context, const Tensor<T>& x) const {
  return host::swap_axes(context, x);
}

template <class T>
Tensor<T> OperationsFor<T>::rounded(const Context& context, const Tensor<float>& x) const {
  return host::cast<T>(context, x);
}

template <class T>
Tensor<float> OperationsFor<T>::widened(const Context& context, const Tensor<T>& x) const {
  return host::cast<float>(context, x);
}

template <class T>
Tensor<T> OperationsFor<T>::upsample_nearest(const Context& context, const Tensor<float>& x, Index height,
                                             Index width) const {
  return host::upsample_nearest<T>(context, x, height, width);
}

template <class T>
Tensor<T> OperationsFor<T>::max_pool(const Context& context, const Tensor<T>& x,
                                     const PoolWindow& window) const {
  return host::max_pool(context, x, window);
}

template <class T>
Tensor<T> OperationsFor<T>::average_pool(const Context& context, const Tensor<T>& x,
                                         const PoolWindow& window) const {
  return host::average_pool(context, x, window);
}

template <class T>
Tensor<T> OperationsFor<T>::embedding_lookup(const Context&, const Tensor<T>& table,
                                             std::span<const std::int32_t> ids) const {
  return host::embedding_lookup(table, ids);
}

template <class T>
Tensor<T> OperationsFor<T>::mapped_embedding_lookup(const Context&, const Weight& table,
                                                    std::span<const std::int32_t> ids) const {
  return host::mapped_embedding_lookup<T>(table, ids);
}

extern template class OperationsFor<float>;
extern template class OperationsFor<bfloat16>;

}  // namespace daguerre::ops

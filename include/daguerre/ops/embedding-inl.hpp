#pragma once

#include <algorithm>
#include <string>

#include "daguerre/core/parallel.hpp"
#include "daguerre/ops/embedding.hpp"
#include "daguerre/ops/engine.hpp"
#include "daguerre/ops/profile.hpp"

namespace daguerre::ops {

namespace detail {

/// Throws ArgumentError for a table that is no matrix, and for an id outside of it.
inline void check_lookup(const Shape& table, std::span<const std::int32_t> ids) {
  if (table.rank() != 2) throw ArgumentError("embedding", "table " + to_string(table) + ", expected [V, C]");
  for (const std::int32_t id : ids)
    if (id < 0 || id >= table[0])
      throw ArgumentError("embedding", "id " + std::to_string(id) + " is outside the table of " +
                                           std::to_string(table[0]) + " rows");
}

}  // namespace detail

namespace host {

template <class T>
Tensor<T> embedding_lookup(const Tensor<T>& table, std::span<const std::int32_t> ids) {
  const Index channels = table.dim(1);
  Tensor<T> result({static_cast<Index>(ids.size()), channels});
  T* out = result.data();
  for (const std::int32_t id : ids) out = std::copy_n(table.data() + id * channels, channels, out);
  return result;
}

template <class T>
Tensor<T> mapped_embedding_lookup(const Weight& table, std::span<const std::int32_t> ids) {
  Tensor<T> result({static_cast<Index>(ids.size()), table.row_size()});
  T* out = result.data();
  for (const std::int32_t id : ids) {
    table.read(id, id + 1, out);
    out += table.row_size();
  }
  table.release();
  return result;
}

}  // namespace host

template <class T>
Tensor<T> embedding_lookup(const Tensor<T>& table, std::span<const std::int32_t> ids) {
  detail::check_lookup(table.shape(), ids);
  return host::embedding_lookup(table, ids);
}

template <class T>
Tensor<T> embedding_lookup(const Context& context, const Tensor<T>& table,
                           std::span<const std::int32_t> ids) {
  const Profile::Scope scope(context, OpKind::embedding);
  detail::check_lookup(table.shape(), ids);
  if (const auto* engine = engine_for<T>(context)) return engine->embedding_lookup(context, table, ids);
  return host::embedding_lookup(table, ids);
}

template <class T>
EmbeddingTable<T>::EmbeddingTable(const Context& context, const Weight& table) {
  if (table.rank() != 2)
    throw ArgumentError("embedding", "table " + to_string(table.shape()) + ", expected [V, C]");
  if (context.placement == WeightPlacement::mapped) {
    mapped_ = table;
    return;
  }
  table_ = Tensor<T>(table.shape());
  parallel_for(context.threads, table.rows(), 256, [&](Index begin, Index end) {
    table.read(begin, end, table_.data() + begin * table.row_size());
  });
  table.release();
}

template <class T>
Tensor<T> EmbeddingTable<T>::operator()(const Context& context, std::span<const std::int32_t> ids) const {
  if (!mapped_) return embedding_lookup(context, table_, ids);
  const Profile::Scope scope(context, OpKind::embedding);
  detail::check_lookup(mapped_->shape(), ids);
  if (const auto* engine = engine_for<T>(context))
    return engine->mapped_embedding_lookup(context, *mapped_, ids);
  return host::mapped_embedding_lookup<T>(*mapped_, ids);
}

extern template Tensor<float> embedding_lookup(const Tensor<float>&, std::span<const std::int32_t>);
extern template Tensor<bfloat16> embedding_lookup(const Tensor<bfloat16>&, std::span<const std::int32_t>);
extern template Tensor<float> embedding_lookup(const Context&, const Tensor<float>&,
                                               std::span<const std::int32_t>);
extern template Tensor<bfloat16> embedding_lookup(const Context&, const Tensor<bfloat16>&,
                                                  std::span<const std::int32_t>);
extern template class EmbeddingTable<float>;
extern template class EmbeddingTable<bfloat16>;

}  // namespace daguerre::ops

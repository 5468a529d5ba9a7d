#pragma once

#include <algorithm>
#include <string>

#include "daguerre/core/parallel.hpp"
#include "daguerre/ops/embedding.hpp"

namespace daguerre::ops {

template <class T>
Tensor<T> embedding_lookup(const Tensor<T>& table, std::span<const std::int32_t> ids) {
  if (table.rank() != 2)
    throw ArgumentError("embedding", "table " + to_string(table.shape()) + ", expected [V, C]");
  const Index channels = table.dim(1);
  Tensor<T> result({static_cast<Index>(ids.size()), channels});
  T* out = result.data();
  for (const std::int32_t id : ids) {
    if (id < 0 || id >= table.dim(0))
      throw ArgumentError("embedding", "id " + std::to_string(id) + " is outside the table of " +
                                           std::to_string(table.dim(0)) + " rows");
    out = std::copy_n(table.data() + id * channels, channels, out);
  }
  return result;
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
Tensor<T> EmbeddingTable<T>::operator()(std::span<const std::int32_t> ids) const {
  if (!mapped_) return embedding_lookup(table_, ids);
  Tensor<T> result({static_cast<Index>(ids.size()), mapped_->row_size()});
  T* out = result.data();
  for (const std::int32_t id : ids) {
    if (id < 0 || id >= mapped_->rows())
      throw ArgumentError("embedding", "id " + std::to_string(id) + " is outside the table of " +
                                           std::to_string(mapped_->rows()) + " rows");
    mapped_->read(id, id + 1, out);
    out += mapped_->row_size();
  }
  mapped_->release();
  return result;
}

extern template Tensor<float> embedding_lookup(const Tensor<float>&, std::span<const std::int32_t>);
extern template Tensor<bfloat16> embedding_lookup(const Tensor<bfloat16>&, std::span<const std::int32_t>);
extern template class EmbeddingTable<float>;
extern template class EmbeddingTable<bfloat16>;

}  // namespace daguerre::ops

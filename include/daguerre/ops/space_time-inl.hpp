#pragma once

#include <algorithm>
#include <string>

#include "daguerre/ops/engine.hpp"
#include "daguerre/ops/profile.hpp"
#include "daguerre/ops/space_time.hpp"

namespace daguerre::ops {
namespace host {

template <class T>
Tensor<T> repeat_edges(const Context& context, const Tensor<T>& x, Index rows, Index columns) {
  const int rank = x.rank();
  const Index height = x.dim(-3), width = x.dim(-2), channels = x.dim(-1);
  const Index high = height + 2 * rows, wide = width + 2 * columns;
  auto y = context.empty<T>(x.shape().with(rank - 3, high).with(rank - 2, wide));
  parallel_for(context.threads, x.size() / (height * width * channels) * high, 4,
               [&](Index begin, Index end) {
                 for (Index line = begin; line < end; ++line) {
                   const Index row = std::clamp<Index>(line % high - rows, 0, height - 1);
                   const T* const from = x.data() + (line / high * height + row) * width * channels;
                   T* to = y.data() + line * wide * channels;
                   for (Index i = 0; i < columns; ++i) to = std::copy_n(from, channels, to);
                   to = std::copy_n(from, width * channels, to);
                   for (Index i = 0; i < columns; ++i)
                     to = std::copy_n(from + (width - 1) * channels, channels, to);
                 }
               });
  return y;
}

}  // namespace host

template <class T>
Tensor<T> repeat_edges(const Context& context, const Tensor<T>& x, Index rows, Index columns) {
  const Profile::Scope scope(context, OpKind::concatenate);
  if (x.rank() < 3 || x.empty() || rows < 0 || columns < 0)
    throw ArgumentError("repeat_edges", std::to_string(rows) + " rows and " + std::to_string(columns) +
                                            " columns of " + to_string(x.shape()));
  if (rows == 0 && columns == 0) return x;
  if (const auto* engine = engine_for<T>(context)) return engine->repeat_edges(context, x, rows, columns);
  return host::repeat_edges(context, x, rows, columns);
}

extern template Tensor<float> repeat_edges(const Context&, const Tensor<float>&, Index, Index);
extern template Tensor<bfloat16> repeat_edges(const Context&, const Tensor<bfloat16>&, Index, Index);

}  // namespace daguerre::ops

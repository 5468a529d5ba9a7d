#include "daguerre/ops/reduce.hpp"

#include <algorithm>
#include <limits>
#include <vector>

#include "daguerre/ops/rearrange-inl.hpp"

namespace daguerre::ops {
namespace {

Shape without_axis(const Shape& shape, int axis) {
  std::vector<Index> extents(shape.begin(), shape.end());
  extents.erase(extents.begin() + axis);
  return Shape(std::span<const Index>(extents));
}

/// The row of `table[V, C]` nearest to `x[C]`.
Index nearest_row(const Tensor<float>& table, const float* x) {
  const Index width = table.dim(1);
  double least = std::numeric_limits<double>::infinity();
  Index best = 0;
  for (Index row = 0; row < table.dim(0); ++row) {
    const float* code = table.data() + row * width;
    double distance = 0.0;
    for (Index c = 0; c < width; ++c) {
      const double difference = static_cast<double>(x[c]) - static_cast<double>(code[c]);
      distance += difference * difference;
    }
    if (distance < least) least = distance, best = row;
  }
  return best;
}

}  // namespace

Tensor<float> mean(const Context& context, const Tensor<float>& x, int axis) {
  const Profile::Scope scope(context, OpKind::add);
  axis = detail::axis_from_front(x.shape(), axis, "mean");
  if (x.dim(axis) == 0)
    throw ArgumentError("mean", "axis " + std::to_string(axis) + " of " + to_string(x.shape()) + " is empty");
  return with_operations(context, [&](const Operations& engine) { return engine.mean(context, x, axis); });
}

Tensor<float> Operations::mean(const Context& context, const Tensor<float>& x, int axis) const {
  const Index outer = detail::extent_product(x.shape(), 0, axis), length = x.dim(axis);
  const Index inner = detail::extent_product(x.shape(), axis + 1, x.rank());
  auto y = context.empty<float>(without_axis(x.shape(), axis));
  parallel_for(context.threads, outer, 1, [&](Index begin, Index end) {
    std::vector<double> sums(static_cast<std::size_t>(inner));
    for (Index n = begin; n < end; ++n) {
      std::fill(sums.begin(), sums.end(), 0.0);
      const float* from = x.data() + n * length * inner;
      for (Index i = 0; i < length; ++i)
        for (double& sum : sums) sum += static_cast<double>(*from++);
      std::transform(sums.begin(), sums.end(), y.data() + n * inner,
                     [&](double sum) { return static_cast<float>(sum / static_cast<double>(length)); });
    }
  });
  return y;
}

Tensor<std::int32_t> nearest_rows(const Context& context, const Tensor<float>& table,
                                  const Tensor<float>& x) {
  const Profile::Scope scope(context, OpKind::embedding);
  if (table.rank() != 2 || table.dim(0) < 1 || x.rank() == 0 || x.dim(-1) != table.dim(1))
    throw ArgumentError("nearest_rows",
                        "rows of " + to_string(x.shape()) + " among those of " + to_string(table.shape()));
  return with_operations(context,
                         [&](const Operations& engine) { return engine.nearest_rows(context, table, x); });
}

Tensor<std::int32_t> Operations::nearest_rows(const Context& context, const Tensor<float>& table,
                                              const Tensor<float>& x) const {
  Tensor<std::int32_t> result(without_axis(x.shape(), x.rank() - 1));
  parallel_for(context.threads, result.size(), 16, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i)
      result.data()[i] = static_cast<std::int32_t>(nearest_row(table, x.data() + i * table.dim(1)));
  });
  return result;
}

}  // namespace daguerre::ops

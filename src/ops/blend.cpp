#include "daguerre/ops/blend.hpp"

#include <algorithm>

#include "daguerre/ops/rearrange-inl.hpp"

namespace daguerre::ops {

Tensor<float> blend(const Context& context, const Tensor<float>& neighbour, Tensor<float> tile, int axis,
                    Index extent) {
  const Profile::Scope scope(context, OpKind::resample);
  axis = detail::axis_from_front(tile.shape(), axis, "blend");
  if (extent < 0 || neighbour.rank() != tile.rank() ||
      !(neighbour.shape().with(axis, 0) == tile.shape().with(axis, 0)))
    throw ArgumentError("blend", std::to_string(extent) + " elements of axis " + std::to_string(axis) +
                                     " of " + to_string(tile.shape()) + " beside " +
                                     to_string(neighbour.shape()));
  extent = std::min({neighbour.dim(axis), tile.dim(axis), extent});
  if (extent == 0) return tile;
  return with_operations(context, [&](const Operations& engine) {
    return engine.blend(context, neighbour, std::move(tile), axis, extent);
  });
}

Tensor<float> Operations::blend(const Context& context, const Tensor<float>& neighbour, Tensor<float> tile,
                                int axis, Index extent) const {
  auto y = tile.is_unique() ? std::move(tile) : tile.clone();
  const Index outer = detail::extent_product(y.shape(), 0, axis);
  const Index inner = detail::extent_product(y.shape(), axis + 1, y.rank());
  const Index first = neighbour.dim(axis) - extent;
  parallel_for(context.threads, outer * extent, std::max<Index>(1, 4096 / std::max<Index>(inner, 1)),
               [&](Index begin, Index end) {
                 for (Index row = begin; row < end; ++row) {
                   const Index n = row / extent, i = row % extent;
                   const float weight = static_cast<float>(i) / static_cast<float>(extent);
                   const float* from = neighbour.data() + (n * neighbour.dim(axis) + first + i) * inner;
                   float* to = y.data() + (n * y.dim(axis) + i) * inner;
                   for (Index c = 0; c < inner; ++c) to[c] = from[c] * (1.0f - weight) + to[c] * weight;
                 }
               });
  return y;
}

}  // namespace daguerre::ops

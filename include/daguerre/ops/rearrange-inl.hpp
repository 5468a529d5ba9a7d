#pragma once

#include <algorithm>
#include <array>
#include <functional>
#include <numeric>
#include <string>

#include "daguerre/ops/engine.hpp"
#include "daguerre/ops/profile.hpp"
#include "daguerre/ops/rearrange.hpp"

namespace daguerre::ops {
namespace detail {

/// Elements that are worth a thread.
inline constexpr Index copy_grain = 16384;

inline Index extent_product(const Shape& shape, int begin, int end) {
  return std::accumulate(shape.begin() + begin, shape.begin() + end, Index{1}, std::multiplies<>());
}

/// `axis`, counted from the front. Throws ArgumentError where x has no such axis.
inline int axis_from_front(const Shape& shape, int axis, const char* who) {
  const int found = axis < 0 ? axis + shape.rank() : axis;
  if (found < 0 || found >= shape.rank())
    throw ArgumentError(who, to_string(shape) + " has no axis " + std::to_string(axis));
  return found;
}

/// Throws ArgumentError unless the parts may be joined along `axis`, counted from the front.
template <class T>
void check_concat(std::span<const Tensor<T>> parts, int axis) {
  for (const auto& part : parts)
    if (part.rank() != parts[0].rank() || !(part.shape().with(axis, 0) == parts[0].shape().with(axis, 0)))
      throw ArgumentError("concat", to_string(parts[0].shape()) + " and " + to_string(part.shape()) +
                                        " differ in another axis than " + std::to_string(axis));
}

inline void check_crop(const Shape& shape, std::span<const Index> begin, const Shape& extents) {
  bool inside = static_cast<int>(begin.size()) == shape.rank() && extents.rank() == shape.rank();
  for (int axis = 0; inside && axis < shape.rank(); ++axis) {
    const Index first = begin[static_cast<std::size_t>(axis)];
    inside = first >= 0 && first <= shape[axis] && extents[axis] <= shape[axis] - first;
  }
  if (!inside)
    throw ArgumentError("crop", "a box of " + to_string(extents) + " is not inside of " + to_string(shape));
}

}  // namespace detail

namespace host {

template <class T>
Tensor<T> concat(const Context& context, std::span<const Tensor<T>> parts, int axis) {
  Index total = 0;
  for (const auto& part : parts) total += part.dim(axis);
  const auto shape = parts[0].shape().with(axis, total);
  const Index outer = detail::extent_product(shape, 0, axis);
  const Index inner = detail::extent_product(shape, axis + 1, shape.rank()), row = total * inner;
  auto y = context.empty<T>(shape);
  parallel_for(context.threads, row == 0 ? 0 : outer,
               std::max<Index>(1, detail::copy_grain / std::max<Index>(row, 1)), [&](Index begin, Index end) {
                 for (Index i = begin; i < end; ++i) {
                   T* out = y.data() + i * row;
                   for (const auto& part : parts) {
                     const Index size = part.dim(axis) * inner;
                     out = std::copy_n(part.data() + i * size, size, out);
                   }
                 }
               });
  return y;
}

template <class T>
Tensor<T> crop(const Context& context, const Tensor<T>& x, std::span<const Index> begin,
               const Shape& extents) {
  auto y = context.empty<T>(extents);
  // Everything behind the last axis that is cut lies in one piece.
  int last = x.rank() - 1;
  while (last > 0 && extents[last] == x.dim(last)) --last;
  if (y.empty()) return y;
  const Index inner = detail::extent_product(extents, last + 1, x.rank()), run = extents[last] * inner;
  const Index outer = detail::extent_product(extents, 0, last);
  parallel_for(context.threads, outer, std::max<Index>(1, detail::copy_grain / run),
               [&](Index first, Index end) {
                 for (Index i = first; i < end; ++i) {
                   Index offset = begin[static_cast<std::size_t>(last)] * inner, rest = i,
                         stride = x.dim(last) * inner;
                   for (int axis = last - 1; axis >= 0; --axis) {
                     offset += (begin[static_cast<std::size_t>(axis)] + rest % extents[axis]) * stride;
                     rest /= extents[axis];
                     stride *= x.dim(axis);
                   }
                   std::copy_n(x.data() + offset, run, y.data() + i * run);
                 }
               });
  return y;
}

template <class T>
Tensor<T> swap_axes(const Context& context, const Tensor<T>& x) {
  const Index rows = x.dim(1), columns = x.dim(2), run = detail::extent_product(x.shape(), 3, x.rank());
  auto y = context.empty<T>(x.shape().with(1, columns).with(2, rows));
  T* const out = y.data();
  const Index grain = std::max<Index>(1, detail::copy_grain / std::max<Index>(rows * run, 1));
  parallel_for(context.threads, y.empty() ? 0 : x.dim(0) * columns, grain, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      const T* const from = x.data() + (i / columns * rows * columns + i % columns) * run;
      for (Index row = 0; row < rows; ++row)
        std::copy_n(from + row * columns * run, run, out + (i * rows + row) * run);
    }
  });
  return y;
}

}  // namespace host

template <class T>
Tensor<T> concat(const Context& context, std::span<const Tensor<T>> parts, int axis) {
  const Profile::Scope scope(context, OpKind::concatenate);
  if (parts.empty()) throw ArgumentError("concat", "there is nothing to join");
  axis = detail::axis_from_front(parts[0].shape(), axis, "concat");
  detail::check_concat(parts, axis);
  if (parts.size() == 1) return parts[0];
  if (const auto* engine = engine_for<T>(context)) return engine->concat(context, parts, axis);
  return host::concat(context, parts, axis);
}

template <class T>
Tensor<T> crop(const Context& context, const Tensor<T>& x, std::span<const Index> begin,
               const Shape& extents) {
  const Profile::Scope scope(context, OpKind::concatenate);
  detail::check_crop(x.shape(), begin, extents);
  if (x.rank() == 0 || extents == x.shape().with(0, extents[0]))
    return x.rank() == 0 ? x : x.slice(begin[0], begin[0] + extents[0]);
  if (const auto* engine = engine_for<T>(context)) return engine->crop(context, x, begin, extents);
  return host::crop(context, x, begin, extents);
}

template <class T>
Tensor<T> narrow(const Context& context, const Tensor<T>& x, int axis, Index begin, Index length) {
  axis = detail::axis_from_front(x.shape(), axis, "narrow");
  if (begin < 0 || length < 0 || begin > x.dim(axis) || length > x.dim(axis) - begin)
    throw ArgumentError("narrow", std::to_string(length) + " elements from " + std::to_string(begin) +
                                      " on are not in axis " + std::to_string(axis) + " of " +
                                      to_string(x.shape()));
  std::array<Index, Shape::max_rank> first{};
  first[static_cast<std::size_t>(axis)] = begin;
  return crop(context, x, std::span<const Index>(first).first(static_cast<std::size_t>(x.rank())),
              x.shape().with(axis, length));
}

template <class T>
std::vector<Tensor<T>> chunk(const Context& context, const Tensor<T>& x, int count, int axis) {
  axis = detail::axis_from_front(x.shape(), axis, "chunk");
  if (count < 1 || x.dim(axis) % count != 0)
    throw ArgumentError("chunk", "axis " + std::to_string(axis) + " of " + to_string(x.shape()) +
                                     " does not split into " + std::to_string(count) + " parts");
  const Index length = x.dim(axis) / count;
  std::vector<Tensor<T>> parts;
  for (Index i = 0; i < count; ++i) parts.push_back(narrow(context, x, axis, i * length, length));
  return parts;
}

template <class T>
Tensor<T> swap_axes(const Context& context, const Tensor<T>& x) {
  const Profile::Scope scope(context, OpKind::concatenate);
  if (x.rank() < 3) throw ArgumentError("swap_axes", to_string(x.shape()) + ", expected [N, A, B, ...]");
  if (x.dim(1) == 1 || x.dim(2) == 1) return x.reshape(x.shape().with(1, x.dim(2)).with(2, x.dim(1)));
  if (const auto* engine = engine_for<T>(context)) return engine->swap_axes(context, x);
  return host::swap_axes(context, x);
}

extern template Tensor<float> concat(const Context&, std::span<const Tensor<float>>, int);
extern template Tensor<bfloat16> concat(const Context&, std::span<const Tensor<bfloat16>>, int);
extern template Tensor<float> crop(const Context&, const Tensor<float>&, std::span<const Index>,
                                   const Shape&);
extern template Tensor<bfloat16> crop(const Context&, const Tensor<bfloat16>&, std::span<const Index>,
                                      const Shape&);
extern template Tensor<float> narrow(const Context&, const Tensor<float>&, int, Index, Index);
extern template Tensor<bfloat16> narrow(const Context&, const Tensor<bfloat16>&, int, Index, Index);
extern template std::vector<Tensor<float>> chunk(const Context&, const Tensor<float>&, int, int);
extern template std::vector<Tensor<bfloat16>> chunk(const Context&, const Tensor<bfloat16>&, int, int);
extern template Tensor<float> swap_axes(const Context&, const Tensor<float>&);
extern template Tensor<bfloat16> swap_axes(const Context&, const Tensor<bfloat16>&);

}  // namespace daguerre::ops

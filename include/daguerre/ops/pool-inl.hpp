#pragma once

#include <algorithm>
#include <type_traits>
#include <vector>

#include "daguerre/ops/detail/rows-inl.hpp"
#include "daguerre/ops/engine.hpp"
#include "daguerre/ops/pool.hpp"
#include "daguerre/ops/profile.hpp"

namespace daguerre::ops {
namespace detail {

struct PoolMaximum {
  static float joined(float best, float value) {
    // A bitwise "or", which vectors have.
    return (static_cast<int>(value > best) | static_cast<int>(value != value)) != 0 ? value : best;
  }
  static constexpr float share(Index /*count*/) { return 1.0f; }
};
struct PoolMean {
  static float joined(float sum, float value) { return sum + value; }
  static float share(Index count) { return static_cast<float>(count); }
};

/// What of a window that begins at `begin` lies in [0, extent).
struct PoolSpan {
  PoolSpan(Index begin, Index size, Index extent)
      : first(std::max<Index>(begin, 0)), end(std::min(begin + size, extent)) {}
  Index first, end;
};

template <class Rule>
void pool_pixel(const std::vector<const float*>& lines, const PoolSpan& columns, Index channels, float* out) {
  bool begun = false;
  for (const float* line : lines)
    for (Index column = columns.first; column < columns.end; ++column) {
      const float* const from = line + column * channels;
      if (begun)
        for (Index c = 0; c < channels; ++c) out[c] = Rule::joined(out[c], from[c]);
      else
        std::copy_n(from, channels, out);
      begun = true;
    }
  const float share = Rule::share(static_cast<Index>(lines.size()) * (columns.end - columns.first));
  if (share != 1.0f)
    for (Index c = 0; c < channels; ++c) out[c] /= share;
}

template <class Rule, class T>
Tensor<T> pooled(const Context& context, const Tensor<T>& x, const PoolWindow& window) {
  const Index height = x.dim(1), width = x.dim(2), channels = x.dim(3), row = width * channels;
  const Index rows = window.output_size(height), columns = window.output_size(width);
  auto y = context.empty<T>({x.dim(0), rows, columns, channels});
  T* const to = y.data();
  parallel_for(context.threads, x.dim(0) * rows, 1, [&](Index begin, Index end) {
    // Of another type, the lines under a window and the result pass through float32.
    constexpr bool converts = !std::is_same_v<T, float>;
    std::vector<float> scratch(converts ? static_cast<std::size_t>(window.size * row + columns * channels)
                                        : 0);
    std::vector<const float*> lines;
    for (Index i = begin; i < end; ++i) {
      const PoolSpan down(i % rows * window.stride - window.pad, window.size, height);
      lines.clear();
      for (Index line = down.first; line < down.end; ++line) {
        const T* const from = x.data() + (i / rows * height + line) * row;
        if constexpr (converts) {
          float* const floats = scratch.data() + (line - down.first) * row;
          row_functions<T>().to_float(from, floats, row);
          lines.push_back(floats);
        } else {
          lines.push_back(from);
        }
      }
      T* const out = to + i * columns * channels;
      float* results;
      if constexpr (converts)
        results = scratch.data() + window.size * row;
      else
        results = out;
      for (Index column = 0; column < columns; ++column)
        pool_pixel<Rule>(lines, {column * window.stride - window.pad, window.size, width}, channels,
                         results + column * channels);
      if constexpr (converts) row_functions<T>().from_float(results, out, columns * channels);
    }
  });
  return y;
}

inline void check_pool(const char* who, const Shape& shape, const PoolWindow& window) {
  if (shape.rank() != 4 || shape.size() == 0)
    throw ArgumentError(who, "input " + to_string(shape) + ", expected [N, H, W, C]");
  (void)window.output_size(std::min(shape[1], shape[2]));
}

}  // namespace detail

namespace host {

template <class T>
Tensor<T> max_pool(const Context& context, const Tensor<T>& x, const PoolWindow& window) {
  return detail::pooled<detail::PoolMaximum>(context, x, window);
}
template <class T>
Tensor<T> average_pool(const Context& context, const Tensor<T>& x, const PoolWindow& window) {
  return detail::pooled<detail::PoolMean>(context, x, window);
}

}  // namespace host

template <class T>
Tensor<T> max_pool(const Context& context, const Tensor<T>& x, const PoolWindow& window) {
  const Profile::Scope scope(context, OpKind::resample);
  detail::check_pool("max_pool", x.shape(), window);
  if (const auto* engine = engine_for<T>(context)) return engine->max_pool(context, x, window);
  return host::max_pool(context, x, window);
}

template <class T>
Tensor<T> average_pool(const Context& context, const Tensor<T>& x, const PoolWindow& window) {
  const Profile::Scope scope(context, OpKind::resample);
  detail::check_pool("average_pool", x.shape(), window);
  if (const auto* engine = engine_for<T>(context)) return engine->average_pool(context, x, window);
  return host::average_pool(context, x, window);
}

extern template Tensor<float> max_pool(const Context&, const Tensor<float>&, const PoolWindow&);
extern template Tensor<bfloat16> max_pool(const Context&, const Tensor<bfloat16>&, const PoolWindow&);
extern template Tensor<float> average_pool(const Context&, const Tensor<float>&, const PoolWindow&);
extern template Tensor<bfloat16> average_pool(const Context&, const Tensor<bfloat16>&, const PoolWindow&);

}  // namespace daguerre::ops

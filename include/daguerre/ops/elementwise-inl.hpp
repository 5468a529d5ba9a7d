#pragma once

#include <type_traits>

#include "daguerre/ops/detail/rows-inl.hpp"
#include "daguerre/ops/elementwise.hpp"
#include "daguerre/ops/engine.hpp"
#include "daguerre/ops/profile.hpp"

namespace daguerre::ops {

namespace host {

template <class T>
Tensor<T> concat_channels(const Context& context, const Tensor<float>& a, const Tensor<float>& b) {
  const Index left = a.dim(-1), right = b.dim(-1), width = left + right;
  auto y = context.empty<T>(a.shape().with(-1, width));
  const auto& kernel = detail::row_functions<T>();
  parallel_for(context.threads, width == 0 ? 0 : y.size() / width, 64, [&](Index begin, Index end) {
    for (Index row = begin; row < end; ++row) {
      kernel.from_float(a.data() + row * left, y.data() + row * width, left);
      kernel.from_float(b.data() + row * right, y.data() + row * width + left, right);
    }
  });
  return y;
}

template <class To, class From>
Tensor<To> cast(const Context& context, const Tensor<From>& x) {
  if constexpr (std::is_same_v<To, From>) {
    return x;
  } else {
    auto y = context.empty<To>(x.shape());
    parallel_for(context.threads, x.size(), 16384, [&](Index begin, Index end) {
      if constexpr (std::is_same_v<To, float>)
        detail::row_functions<From>().to_float(x.data() + begin, y.data() + begin, end - begin);
      else
        detail::row_functions<To>().from_float(x.data() + begin, y.data() + begin, end - begin);
    });
    return y;
  }
}

}  // namespace host

template <class T>
Tensor<T> concat_channels(const Context& context, const Tensor<float>& a, const Tensor<float>& b) {
  const Profile::Scope scope(context, OpKind::concatenate);
  if (a.rank() == 0 || a.rank() != b.rank() || !(a.shape().with(-1, 0) == b.shape().with(-1, 0)))
    throw ArgumentError("concat_channels", to_string(a.shape()) + " and " + to_string(b.shape()) +
                                               " differ before the last axis");
  if (const auto* engine = engine_for<T>(context)) return engine->concat_channels(context, a, b);
  return host::concat_channels<T>(context, a, b);
}

template <class To, class From>
Tensor<To> cast(const Context& context, const Tensor<From>& x) {
  if constexpr (std::is_same_v<To, From>) {
    return x;
  } else {
    const Profile::Scope scope(context, OpKind::cast);
    if constexpr (std::is_same_v<To, float>) {
      if (const auto* engine = engine_for<From>(context)) return engine->widened(context, x);
    } else {
      if (const auto* engine = engine_for<To>(context)) return engine->rounded(context, x);
    }
    return host::cast<To>(context, x);
  }
}

extern template Tensor<float> concat_channels<float>(const Context&, const Tensor<float>&,
                                                     const Tensor<float>&);
extern template Tensor<bfloat16> concat_channels<bfloat16>(const Context&, const Tensor<float>&,
                                                           const Tensor<float>&);
extern template Tensor<float> cast(const Context&, const Tensor<float>&);
extern template Tensor<float> cast(const Context&, const Tensor<bfloat16>&);
extern template Tensor<bfloat16> cast(const Context&, const Tensor<float>&);
extern template Tensor<bfloat16> cast(const Context&, const Tensor<bfloat16>&);

}  // namespace daguerre::ops

#pragma once

#include "daguerre/ops/activation.hpp"
#include "daguerre/ops/detail/rows-inl.hpp"
#include "daguerre/ops/engine.hpp"
#include "daguerre/ops/profile.hpp"

namespace daguerre::ops {

namespace host {

template <class T>
Tensor<T> gated_activation(const Context& context, const Tensor<T>& x, Activation activation) {
  const Index width = x.dim(-1) / 2;
  auto y = context.empty<T>(x.shape().with(-1, width));
  parallel_for(context.threads, width == 0 ? 0 : y.size() / width, 4, [&](Index begin, Index end) {
    detail::row_functions<T>().gate(x.data() + begin * 2 * width, y.data() + begin * width, end - begin,
                                    width, activation);
  });
  return y;
}

}  // namespace host

template <class T>
Tensor<T> gated_activation(const Context& context, const Tensor<T>& x, Activation activation) {
  const Profile::Scope scope(context, OpKind::activation);
  if (x.rank() == 0 || x.dim(-1) % 2 != 0)
    throw ArgumentError("gated_activation", "input " + to_string(x.shape()) + ", expected [..., 2 C]");
  if (const auto* engine = engine_for<T>(context)) return engine->gated_activation(context, x, activation);
  return host::gated_activation(context, x, activation);
}

extern template Tensor<float> gated_activation(const Context&, const Tensor<float>&, Activation);
extern template Tensor<bfloat16> gated_activation(const Context&, const Tensor<bfloat16>&, Activation);

}  // namespace daguerre::ops

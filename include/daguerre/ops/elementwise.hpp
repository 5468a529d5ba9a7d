#pragma once

#include "daguerre/ops/context.hpp"

namespace daguerre::ops {

/// (a + b) * scale, element by element; the shapes must be equal.
Tensor<float> add(const Context& context, const Tensor<float>& a, const Tensor<float>& b, float scale = 1.0f);

/// `[..., A]` and `[..., B]` joined to `[..., A + B]`; the other axes must agree.
template <class T = float>
Tensor<T> concat_channels(const Context& context, const Tensor<float>& a, const Tensor<float>& b);

/// Elements converted to another type, on the context's threads.
template <class To, class From>
Tensor<To> cast(const Context& context, const Tensor<From>& x);

/// Throws NumericError, naming `module`, when an element is NaN or infinite.
void check_finite(const Tensor<float>& x, std::string_view module);

}  // namespace daguerre::ops

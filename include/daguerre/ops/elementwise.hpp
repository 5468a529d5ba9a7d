#pragma once

#include <span>
#include <string_view>

#include "daguerre/ops/context.hpp"

namespace daguerre::ops {

/// (a + b) * scale, element by element; the shapes must be equal.
Tensor<float> add(const Context& context, const Tensor<float>& a, const Tensor<float>& b, float scale = 1.0f);

/// x + y for each of the N in `x[N, ...]`; `y[...]`: positions to the tokens of every image. Throws
/// ArgumentError for another shape.
Tensor<float> add_to_each(const Context& context, const Tensor<float>& x, const Tensor<float>& y);

/// x + the n-th of `rows[N, C]` in each row of the n-th of the N in `x[N, ..., C]`: what every pixel of a
/// frame is told. Throws ArgumentError for another shape.
Tensor<float> add_rows(const Context& context, const Tensor<float>& x, const Tensor<float>& rows);

/// a * x + b * y, element by element; the shapes must be equal. A y that is given away becomes the result.
Tensor<float> weighted_sum(const Context& context, const Tensor<float>& x, float a, Tensor<float> y, float b);

/// The n-th of the N in `x[N, ...]` divided by the n-th of `divisors`, or all by the only one. Throws
/// ArgumentError for another number of them.
Tensor<float> divide_each(const Context& context, const Tensor<float>& x, std::span<const float> divisors);

/// a + b * c, element by element; the shapes must be equal: a sample of a normal distribution.
Tensor<float> multiply_add(const Context& context, const Tensor<float>& a, const Tensor<float>& b,
                           const Tensor<float>& c);

/// x * scale + shift, element by element. With scale m and shift -m, m being large, it makes of a mask (1 for
/// keys to look at, 0 for others) the bias of an attention.
Tensor<float> affine(const Context& context, const Tensor<float>& x, float scale, float shift);

/// Elements below `low` raised to it, those above `high` lowered to it; NaN stays. Throws ArgumentError
/// unless low <= high.
Tensor<float> clamp(const Context& context, const Tensor<float>& x, float low, float high);

/// e to the power of x * scale; with 0.5 the standard deviation of a logarithm of the variance.
Tensor<float> exponential(const Context& context, const Tensor<float>& x, float scale = 1.0f);

/// tanh(x * scale).
Tensor<float> hyperbolic_tangent(const Context& context, const Tensor<float>& x, float scale = 1.0f);

/// A tensor of `value`s.
Tensor<float> full(const Context& context, const Shape& shape, float value);

/// `[..., A]` and `[..., B]` joined to `[..., A + B]`; the other axes must agree.
template <class T = float>
Tensor<T> concat_channels(const Context& context, const Tensor<float>& a, const Tensor<float>& b);

/// Elements converted to another type, on the context's threads.
template <class To, class From>
Tensor<To> cast(const Context& context, const Tensor<From>& x);

/// Throws NumericError, naming `module`, when an element is NaN or infinite.
void check_finite(const Tensor<float>& x, std::string_view module);

}  // namespace daguerre::ops

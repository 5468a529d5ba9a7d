#include <algorithm>
#include <cmath>
#include <utility>

#include "daguerre/ops/elementwise-inl.hpp"
#include "ops/engines/native/kernels.hpp"

namespace daguerre::ops {
namespace {

/// Elements that are worth a thread.
constexpr Index element_grain = 16384;

/// `of(x)` for every element.
template <class F>
Tensor<float> mapped(const Context& context, const Tensor<float>& x, const F& of) {
  auto y = context.empty<float>(x.shape());
  float* const out = y.data();
  parallel_for(context.threads, x.size(), element_grain, [&](Index begin, Index end) {
    std::transform(x.data() + begin, x.data() + end, out + begin, of);
  });
  return y;
}

}  // namespace

Tensor<float> add(const Context& context, const Tensor<float>& a, const Tensor<float>& b, float scale) {
  const Profile::Scope scope(context, OpKind::add);
  if (!(a.shape() == b.shape()))
    throw ArgumentError("add", to_string(a.shape()) + " and " + to_string(b.shape()));
  return with_operations(context, [&](const Operations& engine) { return engine.add(context, a, b, scale); });
}

Tensor<float> Operations::add(const Context& context, const Tensor<float>& a, const Tensor<float>& b,
                              float scale) const {
  auto y = context.empty<float>(a.shape());
  parallel_for(context.threads, a.size(), element_grain, [&](Index begin, Index end) {
    kernels::active().add(a.data() + begin, b.data() + begin, y.data() + begin, end - begin, scale);
  });
  return y;
}

Tensor<float> add_to_each(const Context& context, const Tensor<float>& x, const Tensor<float>& y) {
  const Profile::Scope scope(context, OpKind::add);
  if (x.rank() == 0 || !(x.shape().tail() == y.shape()))
    throw ArgumentError("add_to_each", to_string(y.shape()) + " to each of " + to_string(x.shape()));
  return with_operations(context,
                         [&](const Operations& engine) { return engine.add_to_each(context, x, y); });
}

Tensor<float> Operations::add_to_each(const Context& context, const Tensor<float>& x,
                                      const Tensor<float>& y) const {
  auto result = context.empty<float>(x.shape());
  const Index size = y.size();
  parallel_for(context.threads, x.size(), element_grain, [&](Index begin, Index end) {
    while (begin < end) {
      const Index at = begin % size, count = std::min(size - at, end - begin);
      kernels::active().add(x.data() + begin, y.data() + at, result.data() + begin, count, 1.0f);
      begin += count;
    }
  });
  return result;
}

Tensor<float> add_rows(const Context& context, const Tensor<float>& x, const Tensor<float>& rows) {
  const Profile::Scope scope(context, OpKind::add);
  if (x.rank() < 2 || !(rows.shape() == Shape{x.dim(0), x.dim(-1)}))
    throw ArgumentError("add_rows", to_string(rows.shape()) + " to the rows of " + to_string(x.shape()));
  return with_operations(context,
                         [&](const Operations& engine) { return engine.add_rows(context, x, rows); });
}

Tensor<float> Operations::add_rows(const Context& context, const Tensor<float>& x,
                                   const Tensor<float>& rows) const {
  auto result = context.empty<float>(x.shape());
  const Index width = x.dim(-1), count = result.empty() ? 0 : x.size() / width, each = count / x.dim(0);
  float* const out = result.data();
  parallel_for(context.threads, count, std::max<Index>(1, element_grain / std::max<Index>(width, 1)),
               [&](Index begin, Index end) {
                 for (Index i = begin; i < end; ++i)
                   kernels::active().add(x.data() + i * width, rows.data() + i / each * width,
                                         out + i * width, width, 1.0f);
               });
  return result;
}

Tensor<float> weighted_sum(const Context& context, const Tensor<float>& x, float a, Tensor<float> y,
                           float b) {
  const Profile::Scope scope(context, OpKind::add);
  if (!(x.shape() == y.shape()))
    throw ArgumentError("weighted_sum", to_string(x.shape()) + " and " + to_string(y.shape()));
  return with_operations(context, [&](const Operations& engine) {
    return engine.weighted_sum(context, x, a, std::move(y), b);
  });
}

Tensor<float> Operations::weighted_sum(const Context& context, const Tensor<float>& x, float a,
                                       Tensor<float> y, float b) const {
  auto result = std::move(y);
  float* const out = result.data();
  parallel_for(context.threads, x.size(), element_grain, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) out[i] = a * x.data()[i] + b * out[i];
  });
  return result;
}

Tensor<float> divide_each(const Context& context, const Tensor<float>& x, std::span<const float> divisors) {
  const Profile::Scope scope(context, OpKind::add);
  const auto count = static_cast<Index>(divisors.size());
  if (x.rank() == 0 || (count != 1 && count != x.dim(0)))
    throw ArgumentError("divide_each", std::to_string(count) + " divisors for " + to_string(x.shape()));
  return with_operations(context,
                         [&](const Operations& engine) { return engine.divide_each(context, x, divisors); });
}

Tensor<float> Operations::divide_each(const Context& context, const Tensor<float>& x,
                                      std::span<const float> divisors) const {
  auto y = context.empty<float>(x.shape());
  float* const out = y.data();
  const Index size = x.size() / std::max<Index>(x.dim(0), 1);
  parallel_for(context.threads, x.size(), element_grain, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i)
      out[i] = x.data()[i] / divisors[divisors.size() == 1 ? 0 : static_cast<std::size_t>(i / size)];
  });
  return y;
}

Tensor<float> multiply_add(const Context& context, const Tensor<float>& a, const Tensor<float>& b,
                           const Tensor<float>& c) {
  const Profile::Scope scope(context, OpKind::add);
  if (!(a.shape() == b.shape()) || !(b.shape() == c.shape()))
    throw ArgumentError("multiply_add",
                        to_string(a.shape()) + ", " + to_string(b.shape()) + " and " + to_string(c.shape()));
  return with_operations(context,
                         [&](const Operations& engine) { return engine.multiply_add(context, a, b, c); });
}

Tensor<float> Operations::multiply_add(const Context& context, const Tensor<float>& a, const Tensor<float>& b,
                                       const Tensor<float>& c) const {
  auto y = context.empty<float>(a.shape());
  float* const out = y.data();
  parallel_for(context.threads, a.size(), element_grain, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) out[i] = a.data()[i] + b.data()[i] * c.data()[i];
  });
  return y;
}

Tensor<float> affine(const Context& context, const Tensor<float>& x, float scale, float shift) {
  const Profile::Scope scope(context, OpKind::add);
  return with_operations(context,
                         [&](const Operations& engine) { return engine.affine(context, x, scale, shift); });
}

Tensor<float> Operations::affine(const Context& context, const Tensor<float>& x, float scale,
                                 float shift) const {
  return mapped(context, x, [=](float value) { return value * scale + shift; });
}

Tensor<float> clamp(const Context& context, const Tensor<float>& x, float low, float high) {
  const Profile::Scope scope(context, OpKind::add);
  if (!(low <= high))
    throw ArgumentError("clamp", "from " + std::to_string(low) + " to " + std::to_string(high));
  return with_operations(context,
                         [&](const Operations& engine) { return engine.clamp(context, x, low, high); });
}

Tensor<float> Operations::clamp(const Context& context, const Tensor<float>& x, float low, float high) const {
  return mapped(context, x, [=](float value) { return std::clamp(value, low, high); });
}

Tensor<float> exponential(const Context& context, const Tensor<float>& x, float scale) {
  const Profile::Scope scope(context, OpKind::add);
  return with_operations(context,
                         [&](const Operations& engine) { return engine.exponential(context, x, scale); });
}

Tensor<float> Operations::exponential(const Context& context, const Tensor<float>& x, float scale) const {
  return mapped(context, x, [=](float value) { return std::exp(scale * value); });
}

Tensor<float> hyperbolic_tangent(const Context& context, const Tensor<float>& x, float scale) {
  const Profile::Scope scope(context, OpKind::add);
  return with_operations(
      context, [&](const Operations& engine) { return engine.hyperbolic_tangent(context, x, scale); });
}

Tensor<float> Operations::hyperbolic_tangent(const Context& context, const Tensor<float>& x,
                                             float scale) const {
  return mapped(context, x, [=](float value) { return std::tanh(scale * value); });
}

Tensor<float> full(const Context& context, const Shape& shape, float value) {
  return with_operations(context,
                         [&](const Operations& engine) { return engine.full(context, shape, value); });
}

Tensor<float> Operations::full(const Context& context, const Shape& shape, float value) const {
  auto y = context.empty<float>(shape);
  std::fill_n(y.data(), y.size(), value);
  return y;
}

void check_finite(const Tensor<float>& x, std::string_view module) {
  const auto bad =
      std::find_if_not(x.data(), x.data() + x.size(), [](float value) { return std::isfinite(value); });
  if (bad != x.data() + x.size())
    throw NumericError(module, "the result holds " + std::string(std::isnan(*bad) ? "NaN" : "infinity") +
                                   " at element " + std::to_string(bad - x.data()) + " of " +
                                   to_string(x.shape()));
}

template Tensor<float> concat_channels<float>(const Context&, const Tensor<float>&, const Tensor<float>&);
template Tensor<bfloat16> concat_channels<bfloat16>(const Context&, const Tensor<float>&,
                                                    const Tensor<float>&);
template Tensor<float> cast(const Context&, const Tensor<float>&);
template Tensor<float> cast(const Context&, const Tensor<bfloat16>&);
template Tensor<bfloat16> cast(const Context&, const Tensor<float>&);
template Tensor<bfloat16> cast(const Context&, const Tensor<bfloat16>&);

}  // namespace daguerre::ops

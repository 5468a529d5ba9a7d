#include <algorithm>
#include <cmath>

#include "daguerre/ops/elementwise-inl.hpp"
#include "ops/engines/native/kernels.hpp"

namespace daguerre::ops {

Tensor<float> add(const Context& context, const Tensor<float>& a, const Tensor<float>& b, float scale) {
  const Profile::Scope scope(context, OpKind::add);
  if (!(a.shape() == b.shape()))
    throw ArgumentError("add", to_string(a.shape()) + " and " + to_string(b.shape()));
  return with_operations(context, [&](const Operations& engine) { return engine.add(context, a, b, scale); });
}

Tensor<float> Operations::add(const Context& context, const Tensor<float>& a, const Tensor<float>& b,
                              float scale) const {
  auto y = context.empty<float>(a.shape());
  parallel_for(context.threads, a.size(), 16384, [&](Index begin, Index end) {
    kernels::active().add(a.data() + begin, b.data() + begin, y.data() + begin, end - begin, scale);
  });
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

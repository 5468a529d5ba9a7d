#include "daguerre/ops/tokens-inl.hpp"

namespace daguerre::ops {

template Tensor<float> append_tokens(const Context&, Tensor<float>, Index, const TokenView<float>&, Index);
template Tensor<bfloat16> append_tokens(const Context&, Tensor<bfloat16>, Index, const TokenView<bfloat16>&,
                                        Index);

Tensor<float> put_rows(const Context& context, Tensor<float> x, std::span<const std::int32_t> places,
                       const Tensor<float>& rows) {
  const Profile::Scope scope(context, OpKind::concatenate);
  const auto count = static_cast<Index>(places.size());
  if (x.rank() == 0 || !(rows.shape() == Shape{count, x.dim(-1)}))
    throw ArgumentError("put_rows", to_string(rows.shape()) + " in " + std::to_string(count) + " rows of " +
                                        to_string(x.shape()));
  const Index all = x.dim(-1) == 0 ? 0 : x.size() / x.dim(-1);
  for (const std::int32_t place : places)
    if (place < 0 || place >= all)
      throw ArgumentError("put_rows", "no row " + std::to_string(place) + " in " + to_string(x.shape()));
  return with_operations(context, [&](const Operations& engine) {
    return engine.put_rows(context, std::move(x), places, rows);
  });
}

Tensor<float> Operations::put_rows(const Context&, Tensor<float> x, std::span<const std::int32_t> places,
                                   const Tensor<float>& rows) const {
  const Index width = x.dim(-1);
  float* const to = x.data();
  const float* from = rows.data();
  for (const std::int32_t place : places) {
    std::copy_n(from, width, to + place * width);
    from += width;
  }
  return x;
}

}  // namespace daguerre::ops

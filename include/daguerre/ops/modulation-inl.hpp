#pragma once

#include <algorithm>
#include <vector>

#include "daguerre/ops/detail/rows-inl.hpp"
#include "daguerre/ops/engine.hpp"
#include "daguerre/ops/modulation.hpp"
#include "daguerre/ops/profile.hpp"

namespace daguerre::ops {
namespace detail {

inline void check_tokens(const Tensor<float>& x, const char* who) {
  if (x.rank() != 3) throw ArgumentError(who, "input " + to_string(x.shape()) + ", expected [N, L, C]");
}

/// Throws ArgumentError where the chunk has not C values for each image of `x[N, L, C]`.
inline void check_chunk(const ChannelChunk& chunk, const Tensor<float>& x, const char* who) {
  const Index channels = x.dim(2);
  const auto& tensor = chunk.tensor;
  const bool fits = tensor.rank() == 2 && tensor.dim(0) == x.dim(0) && chunk.index >= 0 &&
                    checked_multiply(chunk.index + 1, channels) <= tensor.dim(1);
  if (!fits)
    throw ArgumentError(who, "part " + std::to_string(chunk.index) + " of " + to_string(tensor.shape()) +
                                 " beside an input " + to_string(x.shape()));
}

/// The chunk's C values for image `n` of `x[N, L, C]`.
inline const float* chunk_row(const ChannelChunk& chunk, const Tensor<float>& x, Index n) {
  return chunk.tensor.data() + n * chunk.tensor.dim(1) + chunk.index * x.dim(2);
}

}  // namespace detail

namespace host {

template <class T>
Tensor<T> modulated_layer_norm(const Context& context, const Tensor<float>& x, const ChannelChunk& scale,
                               const ChannelChunk& shift, float epsilon) {
  const Index length = x.dim(1), channels = x.dim(2);
  auto y = context.empty<T>(x.shape());
  std::vector<float> gamma(static_cast<std::size_t>(channels));
  for (Index n = 0; n < x.dim(0); ++n) {
    const float* factor = detail::chunk_row(scale, x, n);
    const float* beta = detail::chunk_row(shift, x, n);
    std::transform(factor, factor + channels, gamma.begin(), [](float value) { return 1.0f + value; });
    parallel_for(context.threads, length, 16, [&](Index begin, Index end) {
      const Index offset = (n * length + begin) * channels;
      detail::row_functions<T>().layer_norm(x.data() + offset, y.data() + offset, end - begin, channels,
                                            gamma.data(), beta, epsilon);
    });
  }
  return y;
}

}  // namespace host

template <class T>
Tensor<T> modulated_layer_norm(const Context& context, const Tensor<float>& x, const ChannelChunk& scale,
                               const ChannelChunk& shift, float epsilon) {
  constexpr const char* who = "modulated_layer_norm";
  const Profile::Scope scope(context, OpKind::layer_norm);
  detail::check_tokens(x, who);
  detail::check_chunk(scale, x, who);
  detail::check_chunk(shift, x, who);
  if (const auto* engine = engine_for<T>(context))
    return engine->modulated_layer_norm(context, x, scale, shift, epsilon);
  return host::modulated_layer_norm<T>(context, x, scale, shift, epsilon);
}

extern template Tensor<float> modulated_layer_norm(const Context&, const Tensor<float>&, const ChannelChunk&,
                                                   const ChannelChunk&, float);
extern template Tensor<bfloat16> modulated_layer_norm(const Context&, const Tensor<float>&,
                                                      const ChannelChunk&, const ChannelChunk&, float);

}  // namespace daguerre::ops

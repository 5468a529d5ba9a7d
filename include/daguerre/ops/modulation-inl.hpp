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

/// Throws ArgumentError where the chunk has not C values for each image, or each token, of `x[N, L, C]`.
inline void check_chunk(const ChannelChunk& chunk, const Tensor<float>& x, const char* who) {
  const Index channels = x.dim(2);
  const auto& [tensor, index, rows] = chunk;
  const bool fits = tensor.rank() == 2 && (!rows.empty() || tensor.dim(0) == x.dim(0)) && index >= 0 &&
                    checked_multiply(index + 1, channels) <= tensor.dim(1);
  if (!fits)
    throw ArgumentError(who, "part " + std::to_string(index) + " of " + to_string(tensor.shape()) +
                                 " beside an input " + to_string(x.shape()));
  if (rows.empty()) return;
  if (static_cast<Index>(rows.size()) != x.dim(0) * x.dim(1))
    throw ArgumentError(
        who, std::to_string(rows.size()) + " rows for the tokens of an input " + to_string(x.shape()));
  const auto [least, most] = std::minmax_element(rows.begin(), rows.end());
  if (*least < 0 || *most >= tensor.dim(0))
    throw ArgumentError(who, "rows " + std::to_string(*least) + " to " + std::to_string(*most) + " of " +
                                 to_string(tensor.shape()));
}

/// Which row of the chunk's tensor the `token`-th of all tokens of `x[N, L, C]` reads.
inline Index chunk_index(const ChannelChunk& chunk, const Tensor<float>& x, Index token) {
  return chunk.rows.empty() ? token / x.dim(1) : chunk.rows[static_cast<std::size_t>(token)];
}
/// The C values there.
inline const float* chunk_row(const ChannelChunk& chunk, const Tensor<float>& x, Index token) {
  return chunk.tensor.data() + chunk_index(chunk, x, token) * chunk.tensor.dim(1) + chunk.index * x.dim(2);
}
/// Where the tokens from `token` on that read the same values end, `end` at the latest.
inline Index chunk_end(const ChannelChunk& chunk, const Tensor<float>& x, Index token, Index end) {
  const Index row = chunk_index(chunk, x, token);
  if (chunk.rows.empty()) return std::min(end, (row + 1) * x.dim(1));
  while (++token < end && chunk_index(chunk, x, token) == row) continue;
  return token;
}

}  // namespace detail

namespace host {

template <class T>
Tensor<T> modulated_layer_norm(const Context& context, const Tensor<float>& x, const ChannelChunk& scale,
                               const ChannelChunk& shift, float epsilon) {
  const Index channels = x.dim(2);
  auto y = context.empty<T>(x.shape());
  T* const elements = y.data();
  parallel_for(context.threads, x.dim(0) * x.dim(1), 16, [&](Index begin, Index end) {
    std::vector<float> gamma(static_cast<std::size_t>(channels));
    for (Index until = begin; begin < end; begin = until) {
      until = std::min(detail::chunk_end(scale, x, begin, end), detail::chunk_end(shift, x, begin, end));
      const float* factor = detail::chunk_row(scale, x, begin);
      std::transform(factor, factor + channels, gamma.begin(), [](float value) { return 1.0f + value; });
      detail::row_functions<T>().layer_norm(x.data() + begin * channels, elements + begin * channels,
                                            until - begin, channels, gamma.data(),
                                            detail::chunk_row(shift, x, begin), epsilon);
    }
  });
  return y;
}

template <class T>
Tensor<T> modulated_rms_norm(const Context& context, const Tensor<float>& x, const ChannelChunk& scale,
                             const ChannelChunk& shift, float epsilon, Activation activation) {
  const Index channels = x.dim(2);
  auto y = context.empty<T>(x.shape());
  T* const elements = y.data();
  parallel_for(context.threads, x.dim(0) * x.dim(1), 16, [&](Index begin, Index end) {
    const auto size = static_cast<std::size_t>(channels);
    std::vector<float> normed(size), gamma(size);
    const std::vector<float> ones(size, 1.0f);
    for (Index until = begin; begin < end;) {
      until = std::min(detail::chunk_end(scale, x, begin, end), detail::chunk_end(shift, x, begin, end));
      const float *factor = detail::chunk_row(scale, x, begin), *beta = detail::chunk_row(shift, x, begin);
      std::transform(factor, factor + channels, gamma.begin(), [](float value) { return 1.0f + value; });
      for (; begin < until; ++begin) {
        detail::row_functions<float>().rms_norm(x.data() + begin * channels, normed.data(), 1, channels,
                                                gamma.data(), epsilon, Activation::none);
        detail::row_functions<T>().scale_shift(normed.data(), elements + begin * channels, 1, channels,
                                               ones.data(), beta, activation);
      }
    }
  });
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

template <class T>
Tensor<T> modulated_rms_norm(const Context& context, const Tensor<float>& x, const ChannelChunk& scale,
                             const ChannelChunk& shift, float epsilon, Activation activation) {
  constexpr const char* who = "modulated_rms_norm";
  const Profile::Scope scope(context, OpKind::layer_norm);
  detail::check_tokens(x, who);
  detail::check_chunk(scale, x, who);
  detail::check_chunk(shift, x, who);
  if (const auto* engine = engine_for<T>(context))
    return engine->modulated_rms_norm(context, x, scale, shift, epsilon, activation);
  return host::modulated_rms_norm<T>(context, x, scale, shift, epsilon, activation);
}

extern template Tensor<float> modulated_layer_norm(const Context&, const Tensor<float>&, const ChannelChunk&,
                                                   const ChannelChunk&, float);
extern template Tensor<bfloat16> modulated_layer_norm(const Context&, const Tensor<float>&,
                                                      const ChannelChunk&, const ChannelChunk&, float);
extern template Tensor<float> modulated_rms_norm(const Context&, const Tensor<float>&, const ChannelChunk&,
                                                 const ChannelChunk&, float, Activation);
extern template Tensor<bfloat16> modulated_rms_norm(const Context&, const Tensor<float>&, const ChannelChunk&,
                                                    const ChannelChunk&, float, Activation);

}  // namespace daguerre::ops

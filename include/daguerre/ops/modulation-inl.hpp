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

/// Throws ArgumentError where the chunk has not C values for each image, or run of tokens, of `x[N, L, C]`.
inline void check_chunk(const ChannelChunk& chunk, const Tensor<float>& x, const char* who) {
  const auto& [tensor, index, runs] = chunk;
  const bool has_runs = tensor.rank() == 3;
  bool fits = (has_runs || tensor.rank() == 2) && tensor.dim(0) == x.dim(0) && index >= 0 &&
              checked_multiply(index + 1, x.dim(2)) <= tensor.dim(-1) &&
              static_cast<Index>(runs.size()) == (has_runs ? tensor.dim(1) : 0);
  Index tokens = 0;
  for (const Index run : runs) {
    fits = fits && run >= 0 && run <= x.dim(1) - tokens;
    tokens += fits ? run : 0;
  }
  if (!fits || (has_runs && tokens != x.dim(1)))
    throw ArgumentError(who, "part " + std::to_string(index) + " of " + to_string(tensor.shape()) + " with " +
                                 std::to_string(runs.size()) + " runs of tokens beside an input " +
                                 to_string(x.shape()));
}

/// Calls `run(n, r, first, count)` for each run of tokens of every image: the r-th of image n, `count` tokens
/// from `first` on, which counts over all images. Without runs all tokens of an image are one.
template <class Run>
void for_each_run(const ChannelChunk& chunk, const Tensor<float>& x, const Run& run) {
  const Index length = x.dim(1);
  const std::span<const Index> runs = chunk.runs.empty() ? std::span(&length, 1) : chunk.runs;
  for (Index n = 0; n < x.dim(0); ++n) {
    Index first = n * length;
    for (std::size_t r = 0; r < runs.size(); ++r) {
      run(n, static_cast<Index>(r), first, runs[r]);
      first += runs[r];
    }
  }
}

/// The chunk's C values for run `r` of image `n` of `x[N, L, C]`.
inline const float* chunk_row(const ChannelChunk& chunk, const Tensor<float>& x, Index n, Index r) {
  const Index runs = std::max<Index>(1, static_cast<Index>(chunk.runs.size()));
  return chunk.tensor.data() + (n * runs + r) * chunk.tensor.dim(-1) + chunk.index * x.dim(2);
}

}  // namespace detail

namespace host {

template <class T>
Tensor<T> modulated_layer_norm(const Context& context, const Tensor<float>& x, const ChannelChunk& scale,
                               const ChannelChunk& shift, float epsilon) {
  const Index channels = x.dim(2);
  auto y = context.empty<T>(x.shape());
  T* const elements = y.data();
  std::vector<float> gamma(static_cast<std::size_t>(channels));
  detail::for_each_run(scale, x, [&](Index n, Index r, Index first, Index count) {
    const float* factor = detail::chunk_row(scale, x, n, r);
    const float* beta = detail::chunk_row(shift, x, n, r);
    std::transform(factor, factor + channels, gamma.begin(), [](float value) { return 1.0f + value; });
    parallel_for(context.threads, count, 16, [&](Index begin, Index end) {
      const Index offset = (first + begin) * channels;
      detail::row_functions<T>().layer_norm(x.data() + offset, elements + offset, end - begin, channels,
                                            gamma.data(), beta, epsilon);
    });
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
  if (!std::equal(scale.runs.begin(), scale.runs.end(), shift.runs.begin(), shift.runs.end()))
    throw ArgumentError(who, "scale and shift are for other runs of tokens");
  if (const auto* engine = engine_for<T>(context))
    return engine->modulated_layer_norm(context, x, scale, shift, epsilon);
  return host::modulated_layer_norm<T>(context, x, scale, shift, epsilon);
}

extern template Tensor<float> modulated_layer_norm(const Context&, const Tensor<float>&, const ChannelChunk&,
                                                   const ChannelChunk&, float);
extern template Tensor<bfloat16> modulated_layer_norm(const Context&, const Tensor<float>&,
                                                      const ChannelChunk&, const ChannelChunk&, float);

}  // namespace daguerre::ops

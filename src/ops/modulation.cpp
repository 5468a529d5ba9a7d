#include "daguerre/ops/modulation.hpp"

#include <algorithm>
#include <vector>

#include "daguerre/ops/profile.hpp"
#include "ops/kernels.hpp"

namespace daguerre::ops {
namespace {

void check_tokens(const Tensor<float>& x, const char* who) {
  if (x.rank() != 3) throw ArgumentError(who, "input " + to_string(x.shape()) + ", expected [N, L, C]");
}

/// The chunk's C values for image `n` of `x[N, L, C]`.
const float* row_of(const ChannelChunk& chunk, const Tensor<float>& x, Index n, const char* who) {
  const Index channels = x.dim(2);
  const auto& tensor = chunk.tensor;
  const bool fits = tensor.rank() == 2 && tensor.dim(0) == x.dim(0) && chunk.index >= 0 &&
                    checked_multiply(chunk.index + 1, channels) <= tensor.dim(1);
  if (!fits)
    throw ArgumentError(who, "part " + std::to_string(chunk.index) + " of " + to_string(tensor.shape()) +
                                 " beside an input " + to_string(x.shape()));
  return tensor.data() + n * tensor.dim(1) + chunk.index * channels;
}

}  // namespace

template <class T>
Tensor<T> modulated_layer_norm(const Context& context, const Tensor<float>& x, const ChannelChunk& scale,
                               const ChannelChunk& shift, float epsilon) {
  constexpr const char* who = "modulated_layer_norm";
  const Profile::Scope scope(context, OpKind::layer_norm);
  check_tokens(x, who);
  const Index length = x.dim(1), channels = x.dim(2);
  auto y = context.empty<T>(x.shape());
  std::vector<float> gamma(static_cast<std::size_t>(channels));
  for (Index n = 0; n < x.dim(0); ++n) {
    const float* factor = row_of(scale, x, n, who);
    const float* beta = row_of(shift, x, n, who);
    std::transform(factor, factor + channels, gamma.begin(), [](float value) { return 1.0f + value; });
    parallel_for(context.threads, length, 16, [&](Index begin, Index end) {
      const Index offset = (n * length + begin) * channels;
      kernels::active().of<T>().layer_norm(x.data() + offset, y.data() + offset, end - begin, channels,
                                           gamma.data(), beta, epsilon);
    });
  }
  return y;
}

Tensor<float> add_gated(const Context& context, const Tensor<float>& residual, const ChannelChunk& gate,
                        const Tensor<float>& x) {
  constexpr const char* who = "add_gated";
  const Profile::Scope scope(context, OpKind::add);
  check_tokens(x, who);
  if (!(x.shape() == residual.shape()))
    throw ArgumentError(who, to_string(residual.shape()) + " and " + to_string(x.shape()));
  const Index length = x.dim(1), channels = x.dim(2);
  auto y = context.empty<float>(x.shape());
  for (Index n = 0; n < x.dim(0); ++n) {
    const float* factor = row_of(gate, x, n, who);
    parallel_for(context.threads, length, 16, [&](Index begin, Index end) {
      for (Index row = n * length + begin; row < n * length + end; ++row) {
        const float *a = residual.data() + row * channels, *b = x.data() + row * channels;
        float* out = y.data() + row * channels;
        for (Index c = 0; c < channels; ++c) out[c] = a[c] + factor[c] * b[c];
      }
    });
  }
  return y;
}

template Tensor<float> modulated_layer_norm(const Context&, const Tensor<float>&, const ChannelChunk&,
                                            const ChannelChunk&, float);
template Tensor<bfloat16> modulated_layer_norm(const Context&, const Tensor<float>&, const ChannelChunk&,
                                               const ChannelChunk&, float);

}  // namespace daguerre::ops

#include "daguerre/ops/modulation-inl.hpp"

namespace daguerre::ops {

Tensor<float> add_gated(const Context& context, const Tensor<float>& residual, const ChannelChunk& gate,
                        const Tensor<float>& x) {
  constexpr const char* who = "add_gated";
  const Profile::Scope scope(context, OpKind::add);
  detail::check_tokens(x, who);
  if (!(x.shape() == residual.shape()))
    throw ArgumentError(who, to_string(residual.shape()) + " and " + to_string(x.shape()));
  detail::check_chunk(gate, x, who);
  return with_operations(
      context, [&](const Operations& engine) { return engine.add_gated(context, residual, gate, x); });
}

Tensor<float> Operations::add_gated(const Context& context, const Tensor<float>& residual,
                                    const ChannelChunk& gate, const Tensor<float>& x) const {
  const Index channels = x.dim(2);
  auto y = context.empty<float>(x.shape());
  float* const elements = y.data();
  detail::for_each_run(gate, x, [&](Index n, Index r, Index first, Index count) {
    const float* factor = detail::chunk_row(gate, x, n, r);
    parallel_for(context.threads, count, 16, [&](Index begin, Index end) {
      for (Index row = first + begin; row < first + end; ++row) {
        const float *a = residual.data() + row * channels, *b = x.data() + row * channels;
        float* out = elements + row * channels;
        for (Index c = 0; c < channels; ++c) out[c] = a[c] + factor[c] * b[c];
      }
    });
  });
  return y;
}

template Tensor<float> modulated_layer_norm(const Context&, const Tensor<float>&, const ChannelChunk&,
                                            const ChannelChunk&, float);
template Tensor<bfloat16> modulated_layer_norm(const Context&, const Tensor<float>&, const ChannelChunk&,
                                               const ChannelChunk&, float);

}  // namespace daguerre::ops

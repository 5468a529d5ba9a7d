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
  parallel_for(context.threads, x.dim(0) * x.dim(1), 16, [&](Index begin, Index end) {
    for (Index token = begin; token < end; ++token) {
      const float* factor = detail::chunk_row(gate, x, token);
      const float *a = residual.data() + token * channels, *b = x.data() + token * channels;
      float* out = elements + token * channels;
      for (Index c = 0; c < channels; ++c) out[c] = a[c] + factor[c] * b[c];
    }
  });
  return y;
}

template Tensor<float> modulated_layer_norm(const Context&, const Tensor<float>&, const ChannelChunk&,
                                            const ChannelChunk&, float);
template Tensor<bfloat16> modulated_layer_norm(const Context&, const Tensor<float>&, const ChannelChunk&,
                                               const ChannelChunk&, float);
template Tensor<float> modulated_rms_norm(const Context&, const Tensor<float>&, const ChannelChunk&,
                                          const ChannelChunk&, float, Activation);
template Tensor<bfloat16> modulated_rms_norm(const Context&, const Tensor<float>&, const ChannelChunk&,
                                             const ChannelChunk&, float, Activation);

}  // namespace daguerre::ops

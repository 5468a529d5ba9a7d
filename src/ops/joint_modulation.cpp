#include <utility>

#include "daguerre/ops/joint_modulation-inl.hpp"

namespace daguerre::ops {

Tensor<float> add_joint_gated(const Context& context, Tensor<float> residual, Index prompt_length,
                              const JointChunk& gate, const Tensor<float>& x) {
  constexpr const char* who = "add_joint_gated";
  const Profile::Scope scope(context, OpKind::add);
  detail::check_joint(x, prompt_length, gate, who);
  if (!(x.shape() == residual.shape()))
    throw ArgumentError(who, to_string(residual.shape()) + " and " + to_string(x.shape()));
  return with_operations(context, [&](const Operations& engine) {
    return engine.add_joint_gated(context, std::move(residual), prompt_length, gate, x);
  });
}

Tensor<float> Operations::add_joint_gated(const Context& context, Tensor<float> residual, Index prompt_length,
                                          const JointChunk& gate, const Tensor<float>& x) const {
  const Index channels = x.dim(2);
  auto y = std::move(residual);
  float* const out = y.data();
  detail::for_joint_tokens(x, prompt_length, [&](Index first, Index rows, bool is_prompt) {
    const float* const factor = detail::chunk_row(is_prompt ? gate.prompt : gate.picture, x, first);
    parallel_for(context.threads, rows, 16, [&](Index begin, Index end) {
      for (Index row = first + begin; row < first + end; ++row)
        for (Index c = 0; c < channels; ++c)
          out[row * channels + c] += factor[c] * x.data()[row * channels + c];
    });
  });
  return y;
}

template Tensor<float> joint_modulated_norm(const Context&, const Tensor<float>&, Index, const Tensor<float>&,
                                            const Tensor<float>&, const JointChunk&, const JointChunk&,
                                            float);
template Tensor<bfloat16> joint_modulated_norm(const Context&, const Tensor<float>&, Index,
                                               const Tensor<float>&, const Tensor<float>&, const JointChunk&,
                                               const JointChunk&, float);

}  // namespace daguerre::ops

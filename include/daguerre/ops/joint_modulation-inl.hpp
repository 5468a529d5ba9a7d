#pragma once

#include <vector>

#include "daguerre/ops/detail/rows-inl.hpp"
#include "daguerre/ops/joint_modulation.hpp"
#include "daguerre/ops/modulation-inl.hpp"

namespace daguerre::ops {
namespace detail {

inline void check_joint(const Tensor<float>& x, Index prompt_length, const JointChunk& chunk,
                        const char* who) {
  check_tokens(x, who);
  if (prompt_length < 0 || prompt_length > x.dim(1))
    throw ArgumentError(
        who, "a prompt of " + std::to_string(prompt_length) + " tokens in " + to_string(x.shape()));
  for (const auto* part : {&chunk.prompt, &chunk.picture}) {
    check_chunk(*part, x, who);
    if (!part->rows.empty()) throw ArgumentError(who, "tokens that read rows of their own are not possible");
  }
}

/// Calls `run` with each image's two runs of tokens, of which either may be empty: the first of all images'
/// tokens, their number, and whether they are the prompt's.
template <class Run>
void for_joint_tokens(const Tensor<float>& x, Index prompt_length, const Run& run) {
  const Index length = x.dim(1);
  for (Index n = 0; n < x.dim(0); ++n) {
    if (prompt_length > 0) run(n * length, prompt_length, true);
    if (prompt_length < length) run(n * length + prompt_length, length - prompt_length, false);
  }
}

}  // namespace detail

namespace host {

template <class T>
Tensor<T> joint_modulated_norm(const Context& context, const Tensor<float>& x, Index prompt_length,
                               const Tensor<float>& gamma, const Tensor<float>& beta, const JointChunk& scale,
                               const JointChunk& shift, float epsilon) {
  const Index channels = x.dim(2);
  auto y = context.empty<T>(x.shape());
  T* const out = y.data();
  std::vector<float> gains(static_cast<std::size_t>(channels)), offsets(gains.size());
  detail::for_joint_tokens(x, prompt_length, [&](Index first, Index rows, bool is_prompt) {
    const float* const factor = detail::chunk_row(is_prompt ? scale.prompt : scale.picture, x, first);
    const float* const offset = detail::chunk_row(is_prompt ? shift.prompt : shift.picture, x, first);
    for (Index c = 0; c < channels; ++c) {
      const auto i = static_cast<std::size_t>(c);
      gains[i] = gamma.data()[c] * (1.0f + factor[c]);
      offsets[i] = beta.data()[c] * (1.0f + factor[c]) + offset[c];
    }
    parallel_for(context.threads, rows, 16, [&](Index begin, Index end) {
      const Index place = (first + begin) * channels;
      detail::row_functions<T>().layer_norm(x.data() + place, out + place, end - begin, channels,
                                            gains.data(), offsets.data(), epsilon);
    });
  });
  return y;
}

}  // namespace host

template <class T>
Tensor<T> joint_modulated_norm(const Context& context, const Tensor<float>& x, Index prompt_length,
                               const Tensor<float>& gamma, const Tensor<float>& beta, const JointChunk& scale,
                               const JointChunk& shift, float epsilon) {
  constexpr const char* who = "joint_modulated_norm";
  const Profile::Scope scope(context, OpKind::layer_norm);
  detail::check_joint(x, prompt_length, scale, who);
  detail::check_joint(x, prompt_length, shift, who);
  for (const auto* vector : {&gamma, &beta})
    if (vector->size() != x.dim(2))
      throw ArgumentError(who, "parameters " + to_string(vector->shape()) + " for " + to_string(x.shape()));
  if (const auto* engine = engine_for<T>(context))
    return engine->joint_modulated_norm(context, x, prompt_length, gamma, beta, scale, shift, epsilon);
  return host::joint_modulated_norm<T>(context, x, prompt_length, gamma, beta, scale, shift, epsilon);
}

extern template Tensor<float> joint_modulated_norm(const Context&, const Tensor<float>&, Index,
                                                   const Tensor<float>&, const Tensor<float>&,
                                                   const JointChunk&, const JointChunk&, float);
extern template Tensor<bfloat16> joint_modulated_norm(const Context&, const Tensor<float>&, Index,
                                                      const Tensor<float>&, const Tensor<float>&,
                                                      const JointChunk&, const JointChunk&, float);

}  // namespace daguerre::ops

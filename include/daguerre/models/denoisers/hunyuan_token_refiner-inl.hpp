#pragma once

#include "daguerre/models/denoisers/hunyuan_token_refiner.hpp"
#include "daguerre/nn/ada_norm-inl.hpp"
#include "daguerre/nn/transformer-inl.hpp"
#include "daguerre/ops/reduce.hpp"

namespace daguerre::models {

template <class T>
HunyuanTokenRefiner<T>::HunyuanTokenRefiner(const nn::Loader& loader,
                                            const HunyuanTokenRefinerOptions& options)
    : embedding_(loader.sub("time_text_embed"), {.dim = options.dim(), .pooled_dim = options.text_dim}),
      proj_in_(loader.sub("proj_in"), options.text_dim, options.dim()) {
  const Index dim = options.dim();
  constexpr float epsilon = 1e-6f;
  enum { gate_parts = 2 };
  for (int i = 0; i < options.num_layers; ++i) {
    const auto block = loader.sub("token_refiner").sub("refiner_blocks", i);
    blocks_.push_back({nn::LayerNorm(block.sub("norm1"), dim, epsilon),
                       nn::LayerNorm(block.sub("norm2"), dim, epsilon),
                       nn::Attention<T>(block.sub("attn"), {.query_dim = dim,
                                                            .heads = options.num_attention_heads,
                                                            .head_dim = options.attention_head_dim,
                                                            .bias = true}),
                       nn::FeedForward<T>(block.sub("ff"), dim, "linear-silu"),
                       nn::Modulation<T>(block.sub("norm_out").sub("linear"), dim, dim, gate_parts)});
  }
}

template <class T>
Tensor<float> HunyuanTokenRefiner<T>::operator()(const ops::Context& context, const Tensor<float>& states,
                                                 std::span<const float> timesteps) const {
  const auto embedding = embedding_(context, timesteps, {}, ops::mean(context, states, 1));
  auto x = proj_in_.accumulate(context, ops::cast<T>(context, states));
  for (const auto& block : blocks_) {
    context.check_stop();
    const auto gates = block.gates(context, embedding);
    x = ops::add_gated(context, x, {gates, 0},
                       block.attn(context, block.norm1.template apply<T>(context, x)));
    x = ops::add_gated(context, x, {gates, 1}, block.ff(context, block.norm2.template apply<T>(context, x)));
  }
  return x;
}

extern template class HunyuanTokenRefiner<float>;
extern template class HunyuanTokenRefiner<bfloat16>;

}  // namespace daguerre::models

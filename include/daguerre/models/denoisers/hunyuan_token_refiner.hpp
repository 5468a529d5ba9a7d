#pragma once

#include <vector>

#include "daguerre/nn/conditioning_embedding.hpp"
#include "daguerre/nn/joint_transformer.hpp"
#include "daguerre/nn/norm.hpp"

namespace daguerre::models {

struct HunyuanTokenRefinerOptions {
  Index text_dim = 0;  ///< of the prompt's tokens
  int num_attention_heads = 1;
  Index attention_head_dim = 64;
  int num_layers = 2;

  Index dim() const noexcept { return num_attention_heads * attention_head_dim; }
};

/// Brings the states of a language model, which looks backwards only, to tokens that have looked at all
/// others (Kong et al. 2024, sec. 4.2; diffusers' HunyuanVideoTokenRefiner). Its blocks' gates, and nothing
/// else, are steered by the timestep and the mean of the states.
template <class T>
class HunyuanTokenRefiner {
 public:
  /// Reads `time_text_embed`, `proj_in` and `token_refiner.refiner_blocks`.
  HunyuanTokenRefiner(const nn::Loader& loader, const HunyuanTokenRefinerOptions& options);

  /// `states[N, S, text_dim]`, without padding, to `[N, S, dim]`; timesteps in 0..1000: one for all, or one
  /// for each of the N. Throws ArgumentError.
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& states,
                           std::span<const float> timesteps) const;

 private:
  struct Block {
    nn::LayerNorm norm1, norm2;
    nn::Attention<T> attn;
    nn::FeedForward<T> ff;
    nn::Modulation<T> gates;
  };
  nn::TimestepTextEmbedding embedding_;
  nn::Linear<T> proj_in_;
  std::vector<Block> blocks_;
};

}  // namespace daguerre::models

#pragma once

#include "daguerre/nn/linear.hpp"
#include "daguerre/nn/norm.hpp"

namespace daguerre::nn {

/// A prompt in one vector, beside the timestep's: `[N, S, encoder_dim]` to `[N, time_embed_dim]`. The mean of
/// the tokens asks, the mean and the tokens answer (diffusers' TextTimeEmbedding with its AttentionPooling,
/// as DeepFloyd IF has it). In float32.
class TextTimeEmbedding {
 public:
  /// Reads `norm1`, `pool`, `proj` and `norm2`. Throws WeightError; ConfigError where `heads` does not divide
  /// `encoder_dim`.
  TextTimeEmbedding(const Loader& loader, Index encoder_dim, Index time_embed_dim, int heads);
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& states) const;

 private:
  Index encoder_dim_;
  int heads_;
  std::shared_ptr<const ops::Engine> engine_;
  LayerNorm norm1_;
  Tensor<float> positional_embedding_;
  Linear<float> q_proj_, kv_proj_;
  Linear<float> proj_;
  LayerNorm norm2_;
};

}  // namespace daguerre::nn

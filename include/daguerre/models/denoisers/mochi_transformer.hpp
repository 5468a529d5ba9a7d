#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "daguerre/config/config.hpp"
#include "daguerre/nn/ada_norm.hpp"
#include "daguerre/nn/joint_transformer.hpp"
#include "daguerre/nn/timestep.hpp"

namespace daguerre::models {

/// diffusers' MochiTransformer3DModel; defaults are its own.
struct MochiTransformerConfig {
  Index patch_size = 2;
  int num_attention_heads = 24;
  Index attention_head_dim = 128;
  int num_layers = 48;
  Index pooled_projection_dim = 1536;  ///< width of the prompt's tokens inside
  Index in_channels = 12;
  Index out_channels = 12;
  Index text_embed_dim = 4096;  ///< width of the prompt's tokens as they come
  Index time_embed_dim = 256;   ///< of the sinusoid
  std::string activation_fn = "swiglu";

  Index dim() const noexcept { return num_attention_heads * attention_head_dim; }

  /// Throws ConfigError for another class, for options it does not know and for values it does not support.
  static MochiTransformerConfig from(const Config& config);
};

/// What the network reads.
struct MochiInputs {
  Tensor<float> sample;              ///< `[N, F, H, W, in_channels]`, with sides that the patch size divides
  std::span<const float> timesteps;  ///< in 0..1000; one, or one for each of the N
  Tensor<float> encoder_hidden_states;  ///< `[N, S, text_embed_dim]`
  /// `[N, S]`: 1 for the prompt's tokens, 0 behind them, or 0 for all: nothing is said. Empty: 1 for all.
  Tensor<float> encoder_attention_mask;
};

/// A prompt in one vector: the mean of its tokens asks, the mean and the tokens answer (diffusers'
/// MochiAttentionPool). In float32.
class MochiAttentionPool {
 public:
  /// Reads `to_q`, `to_kv` and `to_out`. Throws ConfigError where the heads do not divide `dim`.
  MochiAttentionPool(const nn::Loader& loader, Index dim, Index output_dim);
  /// `tokens[N, S, dim]` to `[N, output_dim]`. The mean of none is 0.
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& tokens) const;

 private:
  Index dim_;
  std::shared_ptr<const ops::Engine> engine_;
  nn::Linear<float> to_q_, to_kv_, to_out_;
};

/// A block of Mochi: as JointTransformerBlock, but the prompt's tokens are narrower, norms are by the root of
/// the mean square, before and behind what they are around, and gates are tanh's (diffusers'
/// MochiTransformerBlock).
template <class T>
class MochiTransformerBlock {
 public:
  /// Reads `norm1`, `norm1_context`, `attn1`, `ff` and, unless the prompt's tokens are only looked at,
  /// `ff_context`.
  MochiTransformerBlock(const nn::Loader& loader, const MochiTransformerConfig& config,
                        bool context_pre_only);

  /// Of one film: `embedding[1, dim]`; `rotation` for the prompt's tokens and, behind them, the film's.
  nn::JointTokens operator()(const ops::Context& context, const nn::JointTokens& x,
                             const Tensor<float>& embedding, const ops::RotaryTable& rotation) const;

 private:
  nn::Modulation<T> norm1_, norm1_context_;
  nn::JointAttention<T> attn1_;
  nn::FeedForward<T> ff_;
  std::optional<nn::FeedForward<T>> ff_context_;
};

/// The transformer of Mochi 1 (Genmo 2024), with learned rotary frequencies for each head. Weights must bear
/// diffusers' names.
template <class T>
class MochiTransformer {
 public:
  MochiTransformer(const MochiTransformerConfig& config, const nn::Loader& loader);

  /// `[N, F, H, W, out_channels]`. Throws ArgumentError.
  Tensor<float> operator()(const ops::Context& context, const MochiInputs& inputs) const;

  const MochiTransformerConfig& config() const noexcept { return config_; }

 private:
  /// One film, whose prompt has no padding.
  Tensor<float> run(const ops::Context& context, const Tensor<float>& sample, std::span<const float> timestep,
                    const Tensor<float>& states) const;
  void check(const MochiInputs& inputs) const;

  MochiTransformerConfig config_;
  nn::Linear<float> patch_embed_;
  nn::TimestepEmbedding<float> timestep_embedder_;
  MochiAttentionPool pooler_;
  nn::Linear<T> caption_proj_;
  Tensor<float> pos_frequencies_;  // [3, heads * d / 2]
  std::vector<MochiTransformerBlock<T>> blocks_;
  nn::AdaLayerNormContinuous<float> norm_out_;  // what is rounded here goes straight into the result
  nn::Linear<float> proj_out_;
};

}  // namespace daguerre::models

#pragma once

#include <span>
#include <vector>

#include "daguerre/config/config.hpp"
#include "daguerre/models/denoisers/features.hpp"
#include "daguerre/nn/conditioning_embedding.hpp"
#include "daguerre/nn/conv.hpp"
#include "daguerre/nn/joint_transformer.hpp"

namespace daguerre::models {

/// diffusers' SD3Transformer2DModel; defaults are its own.
struct SD3TransformerConfig {
  Index sample_size = 128;  ///< latent height and width the model was trained at
  Index patch_size = 2;
  Index in_channels = 16;
  Index out_channels = 16;
  int num_layers = 18;
  Index attention_head_dim = 64;
  int num_attention_heads = 18;
  Index joint_attention_dim = 4096;        ///< width of the prompt's tokens
  Index pooled_projection_dim = 2048;      ///< of the prompt in one vector
  Index pos_embed_max_size = 96;           ///< rows and columns of the table of positions
  std::vector<int> dual_attention_layers;  ///< blocks in which the picture also looks at itself alone
  bool has_qk_norm = false;                ///< queries' and keys' heads go through an RMS norm

  Index dim() const noexcept { return num_attention_heads * attention_head_dim; }
  /// What a block is made of that goes on with the prompt's tokens.
  nn::JointTransformerOptions block(int index) const;

  /// Throws ConfigError for another class, for options it does not know and for values it does not support.
  static SD3TransformerConfig from(const Config& config);
  /// The same whatever the class is.
  static SD3TransformerConfig of_any_class(const Config& config);
};

/// What Stable Diffusion 3's blocks are given, for the transformer and for a ControlNet beside it.
struct SD3Tokens {
  nn::JointTokens tokens;
  Tensor<float> embedding;      ///< of the time and the prompt's vector, `[N, dim]`
  Index height = 0, width = 0;  ///< in patches
};

/// Makes that of latents and prompt.
template <class T>
class SD3Embedder {
 public:
  /// Reads `pos_embed`, `time_text_embed` and `context_embedder`.
  SD3Embedder(const SD3TransformerConfig& config, const nn::Loader& loader);

  /// As SD3Transformer takes them. Throws ArgumentError.
  SD3Tokens operator()(const ops::Context& context, const Tensor<float>& sample,
                       std::span<const float> timesteps, const Tensor<float>& encoder_hidden_states,
                       const Tensor<float>& pooled) const;

 private:
  Tensor<float> positions(const ops::Context& context, Index height, Index width) const;

  SD3TransformerConfig config_;
  nn::Conv2d<float> patch_embed_;
  Tensor<float> positions_;  // [pos_embed_max_size, pos_embed_max_size, dim]
  nn::TimestepTextEmbedding embedding_;
  nn::Linear<T> context_embedder_;
};

/// The multimodal diffusion transformer of Stable Diffusion 3 and 3.5 (Esser et al. 2024). Weights must bear
/// diffusers' names (weights::with_diffusers_names).
template <class T>
class SD3Transformer {
 public:
  SD3Transformer(const SD3TransformerConfig& config, const nn::Loader& loader);

  /// `sample[N, H, W, in_channels]`, with sides that the patch size divides and no more patches along a side
  /// than the table of positions has, to `[N, H, W, out_channels]`. `timesteps` in [0, 1000]: one, or one for
  /// each of the N; `encoder_hidden_states[N, S, joint_attention_dim]`; `pooled[N, pooled_projection_dim]`.
  /// `features`: to all blocks but the last; nullptr: none. Throws ArgumentError.
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& sample,
                           std::span<const float> timesteps, const Tensor<float>& encoder_hidden_states,
                           const Tensor<float>& pooled, const TransformerFeatures* features = nullptr) const;

  const SD3TransformerConfig& config() const noexcept { return config_; }

 private:
  SD3TransformerConfig config_;
  SD3Embedder<T> embedder_;
  std::vector<nn::JointTransformerBlock<T>> blocks_;
  nn::AdaLayerNormContinuous<float> norm_out_;  // what is rounded here goes straight into the result
  nn::Linear<float> proj_out_;
};

}  // namespace daguerre::models

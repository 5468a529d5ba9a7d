#pragma once

#include <span>
#include <vector>

#include "daguerre/config/config.hpp"
#include "daguerre/models/denoisers/features.hpp"
#include "daguerre/nn/conditioning_embedding.hpp"
#include "daguerre/nn/joint_transformer.hpp"

namespace daguerre::models {

/// diffusers' FluxTransformer2DModel; defaults are its own.
struct FluxTransformerConfig {
  Index in_channels = 64;  ///< of a token: a patch of the latents, and what joins them
  Index out_channels = 64;
  int num_layers = 19;         ///< blocks in which picture and prompt have weights of their own
  int num_single_layers = 38;  ///< blocks in which they share them
  Index attention_head_dim = 128;
  int num_attention_heads = 24;
  Index joint_attention_dim = 4096;               ///< width of the prompt's tokens
  Index pooled_projection_dim = 768;              ///< of the prompt in one vector
  bool guidance_embeds = false;                   ///< distilled from guidance, whose scale it reads
  std::vector<Index> axes_dims_rope{16, 56, 56};  ///< channels of a head that each axis of the ids turns

  Index dim() const noexcept { return num_attention_heads * attention_head_dim; }

  /// Throws ConfigError for another class, for options it does not know and for values it does not support.
  static FluxTransformerConfig from(const Config& config);
  /// The same whatever the class is.
  static FluxTransformerConfig of_any_class(const Config& config);
};

/// What the network reads.
struct FluxInputs {
  Tensor<float> hidden_states;          ///< `[N, L, in_channels]`, a picture's patches
  Tensor<float> encoder_hidden_states;  ///< `[N, S, joint_attention_dim]`
  Tensor<float> pooled;                 ///< `[N, pooled_projection_dim]`
  std::span<const float> timesteps;     ///< in [0, 1]; one, or one for each of the N
  std::span<const float> guidance;      ///< likewise the guidance scale, where it is embedded
  Tensor<float> img_ids;                ///< `[L, axes]`: where each patch is, the last two row and column
  Tensor<float> txt_ids;                ///< `[S, axes]`: zeros
};

/// What the blocks of FLUX are told beside that, and what they leave.
struct FluxBeside {
  Tensor<float> hint;  ///< `[N, L, dim]`, added to the picture's tokens before the first block; empty: none
  Tensor<float> mode;  ///< `[N, 1, dim]`, a token before the prompt's, at the place of its first; empty: none
  const TransformerFeatures* features = nullptr;  ///< what is added behind blocks; nullptr: nothing
  TransformerFeatures* kept = nullptr;  ///< is given the picture's tokens behind each block; nullptr: nobody
};

/// FLUX from the embeddings to the last block, which the transformer and a ControlNet beside it have in
/// common.
template <class T>
class FluxTrunk {
 public:
  /// Reads `x_embedder`, `context_embedder`, `time_text_embed`, `transformer_blocks` and
  /// `single_transformer_blocks`.
  FluxTrunk(const FluxTransformerConfig& config, const nn::Loader& loader);

  struct Output {
    Tensor<float> picture;    ///< `[N, L, dim]`
    Tensor<float> embedding;  ///< of time, guidance and the prompt's vector, `[N, dim]`
  };
  /// Throws ArgumentError.
  Output operator()(const ops::Context& context, const FluxInputs& inputs,
                    const FluxBeside& beside = {}) const;

 private:
  void check(const FluxInputs& inputs) const;

  FluxTransformerConfig config_;
  nn::Linear<float> x_embedder_;
  nn::Linear<T> context_embedder_;
  nn::TimestepTextEmbedding embedding_;
  std::vector<nn::JointTransformerBlock<T>> blocks_;
  std::vector<nn::SingleTransformerBlock<T>> single_blocks_;
};

/// The transformer of FLUX.1 (dev, schnell, Fill, Kontext, Control; Black Forest Labs 2024). Weights must
/// bear diffusers' names (weights::with_diffusers_names).
template <class T>
class FluxTransformer {
 public:
  FluxTransformer(const FluxTransformerConfig& config, const nn::Loader& loader);

  /// `[N, L, out_channels]`. `features`: of networks beside this one; nullptr: none. Throws ArgumentError.
  Tensor<float> operator()(const ops::Context& context, const FluxInputs& inputs,
                           const TransformerFeatures* features = nullptr) const;

  const FluxTransformerConfig& config() const noexcept { return config_; }

 private:
  FluxTransformerConfig config_;
  FluxTrunk<T> trunk_;
  nn::AdaLayerNormContinuous<float> norm_out_;  // what is rounded here goes straight into the result
  nn::Linear<float> proj_out_;
};

}  // namespace daguerre::models

#pragma once

#include <span>
#include <vector>

#include "daguerre/config/config.hpp"
#include "daguerre/models/denoisers/hunyuan_token_refiner.hpp"

namespace daguerre::models {

/// diffusers' HunyuanVideoTransformer3DModel; defaults are its own.
struct HunyuanVideoTransformerConfig {
  /// How it is told the picture that a film begins with.
  enum class ImageCondition {
    none,
    latent_concat,  ///< by channels that join the latents'
    token_replace,  ///< as the first latent frame, whose tokens are steered as at timestep 0
  };

  Index in_channels = 16;  ///< of the latents, and of what joins them
  Index out_channels = 16;
  int num_attention_heads = 24;
  Index attention_head_dim = 128;
  int num_layers = 20;         ///< blocks in which film and prompt have weights of their own
  int num_single_layers = 40;  ///< blocks in which they share them
  int num_refiner_layers = 2;  ///< of the prompt alone
  double mlp_ratio = 4.0;
  Index patch_size = 2, patch_size_t = 1;
  bool guidance_embeds = true;                   ///< distilled from guidance, whose scale it reads
  Index text_embed_dim = 4096;                   ///< width of the prompt's tokens
  Index pooled_projection_dim = 768;             ///< of the prompt in one vector
  double rope_theta = 256.0;                     ///< base of the rotary frequencies
  std::vector<Index> rope_axes_dim{16, 56, 56};  ///< channels of a head that frame, row and column turn
  ImageCondition image_condition = ImageCondition::none;

  Index dim() const noexcept { return num_attention_heads * attention_head_dim; }
  Index mlp_dim() const noexcept { return static_cast<Index>(static_cast<double>(dim()) * mlp_ratio); }

  /// Throws ConfigError for another class, for options it does not know and for values it does not support.
  static HunyuanVideoTransformerConfig from(const Config& config);
};

/// What the network reads.
struct HunyuanVideoInputs {
  Tensor<float> sample;                  ///< `[N, F, H, W, in_channels]`, which the patch size divides
  std::span<const float> timesteps;      ///< in 0..1000; one, or one for each of the N
  Tensor<float> encoder_hidden_states;   ///< `[N, S, text_embed_dim]`
  Tensor<float> encoder_attention_mask;  ///< `[N, S]`: 1 for the prompt's tokens, 0 behind them; empty: all
  Tensor<float> pooled;                  ///< `[N, pooled_projection_dim]`
  std::span<const float> guidance;       ///< likewise 1000 times the guidance scale, where it is embedded
};

/// The transformer of HunyuanVideo (Kong et al. 2024, sec. 4.2): FLUX's blocks over the patches of a film.
/// Weights must bear diffusers' names.
template <class T>
class HunyuanVideoTransformer {
 public:
  HunyuanVideoTransformer(const HunyuanVideoTransformerConfig& config, const nn::Loader& loader);

  /// `[N, F, H, W, out_channels]`. Throws ArgumentError.
  Tensor<float> operator()(const ops::Context& context, const HunyuanVideoInputs& inputs) const;

  const HunyuanVideoTransformerConfig& config() const noexcept { return config_; }

 private:
  /// One film, whose prompt has no padding.
  Tensor<float> run(const ops::Context& context, const HunyuanVideoInputs& inputs) const;
  void check(const HunyuanVideoInputs& inputs) const;

  HunyuanVideoTransformerConfig config_;
  nn::Linear<float> x_embedder_;
  HunyuanTokenRefiner<T> context_embedder_;
  nn::TimestepTextEmbedding embedding_;
  std::vector<nn::JointTransformerBlock<T>> blocks_;
  std::vector<nn::SingleTransformerBlock<T>> single_blocks_;
  nn::AdaLayerNormContinuous<float> norm_out_;  // what is rounded here goes straight into the result
  nn::Linear<float> proj_out_;
};

}  // namespace daguerre::models

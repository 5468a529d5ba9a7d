#pragma once

#include <span>
#include <vector>

#include "daguerre/models/unet_2d_body.hpp"
#include "daguerre/nn/transformer.hpp"
#include "daguerre/weights/config.hpp"

namespace daguerre::models {

/// diffusers' UNet2DConditionModel as Stable Diffusion 1.x and 2.x configure it. Levels run from the
/// outermost (largest feature maps) inwards.
struct UNet2DConditionConfig {
  Index in_channels = 4;
  Index out_channels = 4;
  int sample_size = 64;  ///< latent height and width the model was trained at
  struct Level {
    Index channels = 0;
    int layers = 2;              ///< residual blocks on the way down; one more on the way up
    int attention_heads = 0;     ///< 0: no transformer on the way down (DownBlock2D)
    int up_attention_heads = 0;  ///< 0: no transformer on the way up (UpBlock2D)
    int transformer_layers = 1;
    Index cross_attention_dim = 768;
  };
  std::vector<Level> levels;
  int mid_attention_heads = 8;
  ops::Activation act_fn = ops::Activation::silu;
  int norm_num_groups = 32;
  float norm_eps = 1e-5f;
  int downsample_padding = 1;
  float mid_block_scale_factor = 1.0f;
  float resnet_out_scale_factor = 1.0f;
  bool use_linear_projection = false;
  bool resnet_scale_shift = false;
  Index time_embedding_dim = 0;
  ops::TimestepEmbeddingOptions timestep;

  /// Throws ConfigError for another class, for options it does not know and for values it does not support.
  static UNet2DConditionConfig from(const weights::Config& config);
  /// Width of the prompt's embeddings.
  Index cross_attention_dim() const { return levels.front().cross_attention_dim; }
};

/// The denoiser of Stable Diffusion 1.x and 2.x (Rombach et al. 2022): a U-Net of residual blocks with
/// transformers that look at the prompt. The input's channels are the latents' (4), or latents, mask and
/// masked latents (9) for inpainting models.
template <class T>
class UNet2DCondition {
 public:
  UNet2DCondition(const UNet2DConditionConfig& config, const nn::Loader& loader);

  /// The model's output (epsilon, v or sample, as it was trained) for `sample[N, H, W, in_channels]` at
  /// `timesteps` (one, or one for each of the N), given `encoder_hidden_states[N, S, cross_attention_dim]`.
  /// `encoder_attention_mask[N, S]` is 1 for tokens to look at and 0 for others; they are then given a logit
  /// of -10000, as the reference does.
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& sample,
                           std::span<const float> timesteps, const Tensor<float>& encoder_hidden_states,
                           const Tensor<float>* encoder_attention_mask = nullptr) const;

  const UNet2DConditionConfig& config() const noexcept { return config_; }

 private:
  UNet2DConditionConfig config_;
  UNet2DBody<T, nn::Transformer2D<T>> body_;
};

}  // namespace daguerre::models

#pragma once

#include <span>
#include <string>
#include <vector>

#include "daguerre/config/config.hpp"
#include "daguerre/nn/ada_norm_single_block.hpp"
#include "daguerre/nn/conv.hpp"

namespace daguerre::models {

/// diffusers' PixArtTransformer2DModel; defaults are its own.
struct PixArtTransformerConfig {
  int num_attention_heads = 16;
  Index attention_head_dim = 72;
  Index in_channels = 4;
  Index out_channels = 8;  ///< twice in_channels where the model also predicts a variance
  int num_layers = 28;
  Index cross_attention_dim = 1152;  ///< width of the projected prompt; must be that of a token
  bool attention_bias = true;
  Index sample_size = 128;  ///< latent height and width the model was trained at
  Index patch_size = 2;
  std::string activation_fn = "gelu-approximate";
  float norm_eps = 1e-6f;
  double interpolation_scale = 2.0;       ///< coordinates of patches are divided by it
  bool use_additional_conditions = true;  ///< reads the picture's size and aspect ratio
  Index caption_channels = 4096;          ///< width of the prompt's tokens

  Index dim() const noexcept { return num_attention_heads * attention_head_dim; }

  /// Whether `config`, whose class is the older Transformer2DModel, is one of these.
  static bool is_old(const Config& config);
  /// Reads config.json, also under the class's older name. Throws ConfigError for another class, for options
  /// it does not know and for values it does not support.
  static PixArtTransformerConfig from(const Config& config);
};

/// What the network reads.
struct PixArtInputs {
  Tensor<float> sample;                  ///< `[N, H, W, in_channels]`, with sides that the patch size divides
  std::span<const float> timesteps;      ///< one, or one for each of the N
  Tensor<float> encoder_hidden_states;   ///< `[N, S, caption_channels]`
  Tensor<float> encoder_attention_mask;  ///< `[N, S]`: 1 for tokens to look at, 0 for others; empty: all
  std::span<const float> resolution;    ///< height and width in pixels for each of the N, where they are read
  std::span<const float> aspect_ratio;  ///< height / width for each of the N, likewise
};

/// The transformer of PixArt-alpha and PixArt-Sigma (Chen et al. 2023, 2024). Weights must bear diffusers'
/// names (weights::with_diffusers_names).
template <class T>
class PixArtTransformer {
 public:
  PixArtTransformer(const PixArtTransformerConfig& config, const nn::Loader& loader);

  /// `[N, H, W, out_channels]`. Throws ArgumentError.
  Tensor<float> operator()(const ops::Context& context, const PixArtInputs& inputs) const;

  const PixArtTransformerConfig& config() const noexcept { return config_; }

 private:
  void check(const PixArtInputs& inputs) const;

  PixArtTransformerConfig config_;
  nn::Conv2d<float> patch_embed_;
  Tensor<float> positions_;  // at the size the model was trained at
  nn::AdaLayerNormSingle<T> adaln_;
  nn::TimestepEmbedding<T> caption_projection_;  // two linear layers, as that one
  std::vector<nn::AdaNormSingleBlock<T>> blocks_;
  Tensor<float> scale_shift_table_;  // [2 dim]
  nn::Linear<float> proj_out_;       // what is rounded here goes straight into the result
};

}  // namespace daguerre::models

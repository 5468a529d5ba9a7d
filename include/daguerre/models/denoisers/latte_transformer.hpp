#pragma once

#include <span>
#include <string>
#include <vector>

#include "daguerre/config/config.hpp"
#include "daguerre/nn/ada_norm_single_block.hpp"

namespace daguerre::models {

/// diffusers' LatteTransformer3DModel; defaults are its own where it has any that work.
struct LatteTransformerConfig {
  int num_attention_heads = 16;
  Index attention_head_dim = 88;
  Index in_channels = 4;
  Index out_channels = 4;         ///< twice in_channels where the model also predicts a variance
  int num_layers = 1;             ///< pairs of a block within frames and one across them
  Index cross_attention_dim = 0;  ///< width of the projected prompt; must be that of a token
  bool attention_bias = false;
  Index sample_size = 64;  ///< latent height and width the model was trained at
  Index patch_size = 2;
  std::string activation_fn = "geglu";
  float norm_eps = 1e-5f;
  Index caption_channels = 4096;  ///< width of the prompt's tokens
  Index video_length = 16;        ///< frames that the model was trained at

  Index dim() const noexcept { return num_attention_heads * attention_head_dim; }

  /// Throws ConfigError for another class, for options it does not know and for values it does not support.
  static LatteTransformerConfig from(const Config& config);
};

/// What the network reads.
struct LatteInputs {
  Tensor<float> sample;              ///< `[N, F, H, W, in_channels]`, with sides that the patch size divides
  std::span<const float> timesteps;  ///< one, or one for each of the N
  Tensor<float> encoder_hidden_states;  ///< `[N, S, caption_channels]`, all of which are looked at
  bool temporal_attentions = true;      ///< false: every frame is a picture of its own
};

/// The transformer of Latte (Ma et al. 2024, sec. 3.2, variant 1): PixArt's blocks within frames, and such
/// without a prompt across them, in turn.
template <class T>
class LatteTransformer {
 public:
  LatteTransformer(const LatteTransformerConfig& config, const nn::Loader& loader);

  /// `[N, F, H, W, out_channels]`. Throws ArgumentError.
  Tensor<float> operator()(const ops::Context& context, const LatteInputs& inputs) const;

  const LatteTransformerConfig& config() const noexcept { return config_; }

 private:
  void check(const LatteInputs& inputs) const;

  LatteTransformerConfig config_;
  nn::Linear<float> patch_embed_;
  Tensor<float> positions_;  // at the size the model was trained at
  nn::AdaLayerNormSingle<T> adaln_;
  nn::TimestepEmbedding<T> caption_projection_;  // two linear layers, as that one
  std::vector<nn::AdaNormSingleBlock<T>> blocks_, temporal_blocks_;
  Tensor<float> scale_shift_table_;  // [2 dim]
  nn::Linear<float> proj_out_;       // what is rounded here goes straight into the result
};

}  // namespace daguerre::models

#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "daguerre/config/config.hpp"
#include "daguerre/nn/ada_norm.hpp"
#include "daguerre/nn/conv.hpp"
#include "daguerre/nn/joint_attention.hpp"
#include "daguerre/nn/timestep.hpp"
#include "daguerre/nn/transformer.hpp"
#include "daguerre/ops/embedding.hpp"
#include "daguerre/ops/joint_modulation.hpp"

namespace daguerre::models {

/// diffusers' CogVideoXTransformer3DModel; defaults are its own.
struct CogVideoXTransformerConfig {
  int num_attention_heads = 30;
  Index attention_head_dim = 64;
  Index in_channels = 16;
  Index out_channels = 16;
  ops::TimestepEmbeddingOptions timestep;
  Index time_embed_dim = 512;
  Index ofs_embed_dim = 0;  ///< 0: no `ofs` is embedded; else it is time_embed_dim
  Index text_embed_dim = 4096;
  int num_layers = 30;
  bool attention_bias = true;
  Index sample_width = 90, sample_height = 60;  ///< latents' sides that the model was trained at
  Index sample_frames = 49;                     ///< frames of the films
  Index patch_size = 2;
  Index patch_size_t = 0;  ///< latent frames in a patch; 0: one, by a convolution (CogVideoX 1.0)
  Index temporal_compression_ratio = 4;  ///< frames of a film for each latent frame behind the first
  Index max_text_seq_length = 226;
  std::string activation_fn = "gelu-approximate";
  ops::Activation timestep_activation = ops::Activation::silu;
  bool norm_elementwise_affine = true;
  float norm_eps = 1e-5f;
  double spatial_interpolation_scale = 1.875, temporal_interpolation_scale = 1.0;
  bool use_rotary_positional_embeddings = false;
  bool use_learned_positional_embeddings = false;
  bool patch_bias = true;  ///< the convolution over patches has one; the linear layer always has

  Index dim() const noexcept { return num_attention_heads * attention_head_dim; }
  Index patch_frames() const noexcept { return patch_size_t == 0 ? 1 : patch_size_t; }
  /// Latent frames of the films that the model was trained at.
  Index sample_latent_frames() const noexcept { return (sample_frames - 1) / temporal_compression_ratio + 1; }
  /// Whether a table of positions is added to the tokens, for which there must be max_text_seq_length of the
  /// prompt.
  bool adds_positions() const noexcept {
    return use_learned_positional_embeddings || !use_rotary_positional_embeddings;
  }

  /// Throws ConfigError for another class, for options it does not know and for values it does not support.
  static CogVideoXTransformerConfig from(const Config& config);
};

struct CogVideoXInputs {
  Tensor<float> sample;                 ///< `[N, F, H, W, in_channels]`, latents
  std::span<const float> timesteps;     ///< in [0, 1000]: one, or one for each of the N
  Tensor<float> encoder_hidden_states;  ///< `[N, S, text_embed_dim]`
  std::optional<float> ofs{};           ///< where it is embedded
  /// For the picture's tokens; nullptr: that of `cogvideox_rotation`, where the model turns them.
  const ops::RotaryTable* rotation = nullptr;
};

/// By which angles the tokens of a film of `frames` latent frames, `height` x `width`, are turned. In
/// CogVideoX 1.0 rows and columns are places on a grid that is fitted into the one of training; in 1.5 they
/// are counted, and may not be more than there. Throws ArgumentError.
ops::RotaryTable cogvideox_rotation(const CogVideoXTransformerConfig& config, Index frames, Index height,
                                    Index width);

/// A block of CogVideoX's transformer (diffusers' CogVideoXBlock): a prompt's tokens and a film's share all
/// weights but those of their modulation.
template <class T>
class CogVideoXBlock {
 public:
  CogVideoXBlock(const CogVideoXTransformerConfig& config, const nn::Loader& loader);

  /// `x[N, S + L, dim]`, the prompt's tokens first; `embedding[N, time_embed_dim]`; `rotation` for all
  /// tokens.
  Tensor<float> operator()(const ops::Context& context, Tensor<float> x, Index prompt_length,
                           const Tensor<float>& embedding, const ops::RotaryTable* rotation) const;

 private:
  /// A norm whose modulation depends on whose the token is (diffusers' CogVideoXLayerNormZero).
  struct Norm {
    enum Part { shift, scale, gate, prompt_shift, prompt_scale, prompt_gate, parts };
    nn::Modulation<T> modulation;
    Tensor<float> gamma, beta;
  };
  static Norm read_norm(const CogVideoXTransformerConfig& config, const nn::Loader& loader);
  Tensor<T> normed(const ops::Context& context, const Norm& norm, const Tensor<float>& x, Index prompt_length,
                   const Tensor<float>& modulation) const;
  static ops::JointChunk gate(const Tensor<float>& modulation) {
    return {{modulation, Norm::prompt_gate}, {modulation, Norm::gate}};
  }

  int heads_;
  Index head_dim_;
  float epsilon_;
  std::shared_ptr<const ops::Engine> engine_;
  Norm norm1_;
  nn::QkvProjection<T> qkv_;
  nn::Linear<T> to_out_;
  Norm norm2_;
  nn::FeedForward<T> ff_;
};

/// The diffusion transformer of CogVideoX (Yang et al. 2024, sec. 2.2).
template <class T>
class CogVideoXTransformer {
 public:
  CogVideoXTransformer(const CogVideoXTransformerConfig& config, const nn::Loader& loader);

  /// To `[N, F, H, W, out_channels]`. The patch size must divide H and W, the patch's frames F; with learned
  /// positions H and W are those of training. Throws ArgumentError.
  Tensor<float> operator()(const ops::Context& context, const CogVideoXInputs& inputs) const;

  const CogVideoXTransformerConfig& config() const noexcept { return config_; }

 private:
  void check(const CogVideoXInputs& inputs) const;
  /// Of time and, where it is embedded, ofs: `[N, time_embed_dim]`.
  Tensor<float> embedding(const ops::Context& context, const CogVideoXInputs& inputs) const;
  /// The film's patches, `[N, L, dim]`.
  Tensor<float> patches(const ops::Context& context, const Tensor<float>& sample) const;
  /// The prompt's tokens and the film's with their positions, `[N, S + L, dim]`.
  Tensor<float> tokens(const ops::Context& context, const CogVideoXInputs& inputs) const;
  /// `[N, L, patch]` to `[N, F, H, W, out_channels]`; `shape` is the sample's.
  Tensor<float> unpatchified(const ops::Context& context, const Tensor<float>& tokens,
                             const Shape& shape) const;

  CogVideoXTransformerConfig config_;
  std::optional<nn::Conv2d<float>> patch_conv_;    // of patches of one frame
  std::optional<nn::Linear<float>> patch_linear_;  // of several
  nn::Linear<T> text_proj_;
  Tensor<float> positions_;  // learned, [S + L, dim]
  nn::TimestepEmbedding<float> time_embedding_;
  std::optional<nn::TimestepEmbedding<float>> ofs_embedding_;
  std::vector<CogVideoXBlock<T>> blocks_;
  Tensor<float> norm_final_gamma_, norm_final_beta_;
  nn::Modulation<float> norm_out_;  // what is rounded here would go straight into the result
  Tensor<float> norm_out_gamma_, norm_out_beta_;
  nn::Linear<float> proj_out_;
};

}  // namespace daguerre::models

#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "daguerre/config/config.hpp"
#include "daguerre/nn/ada_norm_single.hpp"
#include "daguerre/nn/joint_attention.hpp"
#include "daguerre/nn/transformer.hpp"

namespace daguerre::models {

/// diffusers' LTXVideoTransformer3DModel; defaults are its own.
struct LTXTransformerConfig {
  Index in_channels = 128;
  Index out_channels = 128;
  int num_attention_heads = 32;
  Index attention_head_dim = 64;
  Index cross_attention_dim = 2048;  ///< width of the projected prompt; must be that of a token
  int num_layers = 28;
  std::string activation_fn = "gelu-approximate";
  float norm_eps = 1e-6f;
  Index caption_channels = 4096;  ///< width of the prompt's tokens
  bool attention_bias = true;     ///< of queries, keys and values
  bool attention_out_bias = true;

  Index dim() const noexcept { return num_attention_heads * attention_head_dim; }

  /// Throws ConfigError for another class, for options it does not know and for values it does not support.
  static LTXTransformerConfig from(const Config& config);
};

/// What the network reads.
struct LTXInputs {
  Tensor<float> hidden_states;  ///< `[N, L, in_channels]`, a film's latents
  /// Where each token is, `[L, 3]`: seconds, row and column in pixels of the film; see ops::grid_positions.
  Tensor<float> positions;
  std::span<const float> timesteps;      ///< in [0, 1000]: one, or one for each of the N, or for each token
  Tensor<float> encoder_hidden_states;   ///< `[N, S, caption_channels]`
  Tensor<float> encoder_attention_mask;  ///< `[N, S]`: 1 for tokens to look at, 0 for others; empty: all
};

/// The transformer of LTX-Video (HaCohen et al. 2024). Weights must bear diffusers' names.
template <class T>
class LTXTransformer {
 public:
  LTXTransformer(const LTXTransformerConfig& config, const nn::Loader& loader);

  /// `[N, L, out_channels]`. Throws ArgumentError.
  Tensor<float> operator()(const ops::Context& context, const LTXInputs& inputs) const;

  const LTXTransformerConfig& config() const noexcept { return config_; }

 private:
  struct Block {
    Tensor<float> scale_shift_table;  // [6 dim]
    nn::QkvProjection<T> qkv;
    nn::Linear<T> to_out;
    nn::Attention<T> attn2;
    nn::FeedForward<T> feed_forward;
  };
  /// What all blocks are told.
  struct Steering {
    Tensor<float> modulation;        // [R, 6 dim]
    Tensor<float> embedding;         // [R, dim]
    std::vector<std::int32_t> rows;  // which of the R each token reads; empty: one for each of the N
  };
  Steering steering(const ops::Context& context, const LTXInputs& inputs) const;
  Tensor<float> run(const ops::Context& context, const Block& block, const Tensor<float>& x,
                    const Steering& steering, const ops::RotaryTable& rotation, const Tensor<T>& prompt,
                    const Tensor<float>* key_bias) const;
  void check(const LTXInputs& inputs) const;

  LTXTransformerConfig config_;
  std::shared_ptr<const ops::Engine> engine_;
  nn::Linear<float> proj_in_;
  nn::AdaLayerNormSingle<T> time_embed_;
  nn::TimestepEmbedding<T> caption_projection_;  // two linear layers, as that one
  std::vector<Block> blocks_;
  Tensor<float> scale_shift_table_;  // [2 dim]
  nn::Linear<float> proj_out_;       // what is rounded here goes straight into the result
};

}  // namespace daguerre::models

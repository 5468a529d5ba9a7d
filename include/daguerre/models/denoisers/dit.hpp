#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "daguerre/config/config.hpp"
#include "daguerre/nn/ada_norm.hpp"
#include "daguerre/nn/conditioning_embedding.hpp"
#include "daguerre/nn/conv.hpp"
#include "daguerre/nn/transformer.hpp"

namespace daguerre::models {

/// diffusers' DiTTransformer2DModel, or the original model of facebookresearch/DiT. The two compute
/// differently with the same weights; defaults are diffusers'.
struct DiTConfig {
  int num_attention_heads = 16;
  Index attention_head_dim = 72;
  Index in_channels = 4;
  Index out_channels = 4;  ///< twice in_channels where the model also predicts a variance
  int num_layers = 28;
  int sample_size = 32;  ///< latent height and width the model was trained at
  Index patch_size = 2;
  Index mlp_ratio = 4;
  bool attention_bias = true;
  std::string activation_fn = "gelu-approximate";
  int num_classes = 1000;      ///< labels are 0 .. num_classes - 1
  bool has_null_class = true;  ///< label num_classes stands for "no class"
  float norm_eps = 1e-5f;      ///< of the layer norm before the feed-forward; the other ones have 1e-6
  /// diffusers' sinusoid divides by half the width less one (freq_shift 1), the original by half of it.
  ops::TimestepEmbeddingOptions timestep{.freq_shift = 1.0f};
  /// Channels that classifier-free guidance is applied to; 0 for all. The original leaves the rest alone.
  Index guided_channels = 0;

  Index dim() const noexcept { return num_attention_heads * attention_head_dim; }
  std::int32_t null_class() const noexcept { return num_classes; }

  /// Reads either layout: diffusers' config.json, also under the class's older name Transformer2DModel, or
  /// the arguments of the original's constructor
  /// (`input_size`, `hidden_size`, `depth` …), which bear no class name. Throws ConfigError for another
  /// class, for options it does not know and for values it does not support.
  static DiTConfig from(const Config& config);
  /// Whether `config` is one of the original's.
  static bool is_original(const Config& config);
};

/// A class-conditional diffusion transformer (Peebles & Xie 2023): patches of the latents as tokens, blocks
/// steered by timestep and class through adaLN-Zero. Weights must bear diffusers' names
/// (weights::with_diffusers_names).
template <class T>
class DiT {
 public:
  DiT(const DiTConfig& config, const nn::Loader& loader);

  /// `sample[N, H, W, in_channels]`, with sides that the patch size divides, to `[N, H, W, out_channels]`.
  /// `timesteps`: one, or one for each of the N; `class_labels`: one for each. Throws ArgumentError.
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& sample,
                           std::span<const float> timesteps,
                           std::span<const std::int32_t> class_labels) const;

  const DiTConfig& config() const noexcept { return config_; }

 private:
  struct Block {
    std::shared_ptr<const nn::TimestepLabelEmbedding> embedding;  // often the same for all
    nn::AdaLayerNormZero<T> norm1;
    nn::Attention<T> attention;
    nn::FeedForward<T> feed_forward;
  };
  Tensor<float> positions(Index height, Index width) const;
  Tensor<float> run(const ops::Context& context, const Block& block, const Tensor<float>& x,
                    const Tensor<float>& embedding) const;

  DiTConfig config_;
  nn::Conv2d<float> patch_embed_;
  Tensor<float> positions_;  // at the size the model was trained at
  std::vector<Block> blocks_;
  nn::Linear<float> proj_out_1_, proj_out_2_;  // what is rounded here goes straight into the result
};

}  // namespace daguerre::models

#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "daguerre/config/config.hpp"
#include "daguerre/models/denoisers/detail/wan_block.hpp"
#include "daguerre/nn/conv3d.hpp"
#include "daguerre/nn/timestep.hpp"

namespace daguerre::models {

/// diffusers' WanTransformer3DModel and WanVACETransformer3DModel; defaults are their own.
struct WanTransformerConfig {
  std::vector<Index> patch_size{1, 2, 2};  ///< frames, rows and columns of the latents in a token
  int num_attention_heads = 40;
  Index attention_head_dim = 128;
  Index in_channels = 16;
  Index out_channels = 16;
  Index text_dim = 4096;  ///< width of the prompt's tokens
  Index freq_dim = 256;   ///< of the timestep's sinusoid
  Index ffn_dim = 13824;
  int num_layers = 40;
  bool cross_attn_norm = true;
  float eps = 1e-6f;
  Index image_dim = 0;             ///< width of a picture's tokens; 0: it reads none
  bool added_kv = false;           ///< the picture's tokens have keys and values of their own
  Index rope_max_seq_len = 1024;   ///< tokens along each axis
  Index pos_embed_seq_len = 0;     ///< of the tokens of a first and a last picture together; 0: no positions
  std::vector<int> vace_layers{};  ///< blocks behind which a control is added (VACE); empty: none
  Index vace_in_channels = 0;      ///< of that control

  Index dim() const noexcept { return num_attention_heads * attention_head_dim; }

  /// Throws ConfigError for another class, for options it does not know and for values it does not support.
  static WanTransformerConfig from(const Config& config);
};

/// What the network reads.
struct WanInputs {
  Tensor<float> hidden_states;  ///< `[N, F, H, W, in_channels]`, with sides that the patch's divide
  /// One, one for each of the N, or one for each token, `[N, F' H' W']`, a token being a patch.
  std::span<const float> timesteps;
  Tensor<float> encoder_hidden_states;  ///< `[N, S, text_dim]`
  /// `[N, I, image_dim]`, where pictures are read: one's tokens, or a first and a last one's behind each
  /// other.
  Tensor<float> encoder_hidden_states_image{};
  Tensor<float> control_hidden_states{};   ///< `[N, F'', H, W, vace_in_channels]`, F'' <= F (VACE)
  std::span<const float> control_scale{};  ///< one for each of the VACE layers; empty: 1
};

/// The transformer of Wan 2.1 and 2.2 (Wan team, 2025) for films, with VACE's blocks beside its own where the
/// configuration has them (Jiang et al. 2025). Weights must bear diffusers' names
/// (weights::with_diffusers_names).
template <class T>
class WanTransformer {
 public:
  WanTransformer(const WanTransformerConfig& config, const nn::Loader& loader);

  /// `[N, F, H, W, out_channels]`. Throws ArgumentError.
  Tensor<float> operator()(const ops::Context& context, const WanInputs& inputs) const;

  const WanTransformerConfig& config() const noexcept { return config_; }

 private:
  /// A picture's tokens to the blocks' width: norm, two linear layers, norm.
  struct ImageEmbedder {
    Tensor<float> positions;  // [1, tokens, image_dim], or empty
    nn::LayerNorm norm1;
    nn::Linear<T> proj_in, proj_out;
    nn::LayerNorm norm2;
  };
  /// What a control goes through beside the blocks.
  struct Vace {
    nn::Conv3d<float> patch_embedding;
    nn::Linear<T> proj_in;
    std::vector<detail::WanBlock<T>> blocks;
    std::vector<nn::Linear<T>> proj_outs;
  };
  Tensor<T> embedded_image(const ops::Context& context, const Tensor<float>& image) const;
  /// The control's tokens as the first of VACE's blocks reads them, beside the film's `x`.
  Tensor<float> embedded_control(const ops::Context& context, const Vace& vace, const Tensor<float>& control,
                                 const Tensor<float>& x) const;
  void check(const WanInputs& inputs) const;

  WanTransformerConfig config_;
  nn::Conv3d<float> patch_embedding_;
  nn::TimestepEmbedding<float> time_embedder_;
  nn::Modulation<T> time_proj_;
  nn::TimestepEmbedding<T> text_embedder_;  // two linear layers, as that one
  std::optional<ImageEmbedder> image_embedder_;
  std::vector<detail::WanBlock<T>> blocks_;
  std::optional<Vace> vace_;
  Tensor<float> scale_shift_table_;  // [2 dim]
  nn::Linear<float> proj_out_;       // what is rounded here goes straight into the result
};

}  // namespace daguerre::models

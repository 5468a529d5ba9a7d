#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "daguerre/config/config.hpp"
#include "daguerre/nn/linear.hpp"
#include "daguerre/nn/norm.hpp"
#include "daguerre/ops/embedding.hpp"

namespace daguerre::models {

/// transformers' CLIPTextConfig, as far as it changes the result.
struct ClipTextConfig {
  Index vocab_size = 49408;
  Index hidden_size = 512;
  Index intermediate_size = 2048;
  int num_hidden_layers = 12;
  int num_attention_heads = 8;
  Index max_position_embeddings = 77;
  ops::Activation hidden_act = ops::Activation::quick_gelu;
  float layer_norm_eps = 1e-5f;
  /// Where to pool: at the first token of that id; 2, which older files say, stands for the largest id.
  int eos_token_id = 49407;
  Index projection_dim = 0;  ///< 0: no projection (CLIPTextModel); else CLIPTextModelWithProjection
  /// Not CLIP's own: diffusers' Stable Diffusion hands the tokenizer's mask to an encoder whose configuration
  /// says so.
  bool use_attention_mask = false;

  /// From a CLIPTextConfig, or a CLIPConfig, whose `text_config` is taken. Throws ConfigError for a class
  /// other than CLIPTextModel and CLIPTextModelWithProjection, for options it does not know and for values
  /// that are not possible.
  static ClipTextConfig from(const Config& config);
};

/// CLIP's text encoder (Radford et al. 2021): a causal pre-norm transformer over token and position
/// embeddings (transformers' CLIPTextModel and CLIPTextModelWithProjection; OpenCLIP's with `gelu`). Weights
/// must bear transformers' names as of version 4 (weights::with_diffusers_names).
template <class T>
class ClipText {
 public:
  struct Output {
    /// Before the first layer and after each one, `[N, L, hidden_size]`; the last is before the final norm.
    std::vector<Tensor<float>> hidden_states;
    Tensor<float> last_hidden_state;  ///< after the final layer norm
    Tensor<float> pooled;             ///< `[N, hidden_size]`, last_hidden_state at the end-of-text token
    Tensor<float> text_embeds;  ///< `[N, projection_dim]`, pooled through the projection; empty without one
  };

  ClipText(const ClipTextConfig& config, const nn::Loader& loader);

  /// Vectors that stand in the place of tokens' (textual inversion; Gal et al. 2022).
  struct Inserted {
    std::vector<Index> positions;  ///< in the flat `[N * L]`; their ids count for pooling only
    Tensor<float> vectors;         ///< `[positions.size(), hidden_size]`
  };

  /// `input_ids[N, L]`, L at most max_position_embeddings. Throws ArgumentError for a longer input or an
  /// unknown id. `mask[N, L]`, where one is given, is 1 for tokens to look at and 0 for others; as a rule
  /// CLIP is given none, and sees its padding.
  Output operator()(const ops::Context& context, const Tensor<std::int32_t>& input_ids,
                    const Tensor<float>* mask = nullptr, const Inserted* inserted = nullptr) const;

  /// The final layer norm, for states taken from an earlier layer ("clip skip").
  Tensor<float> final_layer_norm(const ops::Context& context, const Tensor<float>& hidden_state) const {
    return final_layer_norm_.apply<float>(context, hidden_state);
  }
  const ClipTextConfig& config() const noexcept { return config_; }

 private:
  /// x += out_proj(attention(layer_norm1(x))); x += fc2(act(fc1(layer_norm2(x))))
  struct Layer {
    nn::LayerNorm layer_norm1;
    nn::Linear<T> qkv, out_proj;
    nn::LayerNorm layer_norm2;
    nn::Linear<T> fc1, fc2;
  };
  Tensor<float> run(const ops::Context& context, const Layer& layer, const Tensor<float>& x,
                    const Tensor<float>* key_bias) const;
  Tensor<float> token_rows(const ops::Context& context, std::span<const std::int32_t> ids,
                           const Inserted* inserted) const;
  Index end_of_text(std::span<const std::int32_t> ids) const;

  ClipTextConfig config_;
  std::shared_ptr<const ops::Engine> engine_;
  ops::EmbeddingTable<T> token_embedding_;
  Tensor<float> position_embedding_;
  std::vector<Layer> layers_;
  nn::LayerNorm final_layer_norm_;
  std::optional<nn::Linear<T>> text_projection_;
};

}  // namespace daguerre::models

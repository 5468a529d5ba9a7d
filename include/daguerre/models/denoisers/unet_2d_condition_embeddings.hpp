#pragma once

#include <optional>
#include <vector>

#include "daguerre/models/denoisers/free_u.hpp"
#include "daguerre/models/denoisers/unet_2d_body.hpp"
#include "daguerre/models/denoisers/unet_2d_embeddings.hpp"
#include "daguerre/nn/conv.hpp"
#include "daguerre/nn/decoupled_keys.hpp"
#include "daguerre/nn/temporal_windows.hpp"
#include "daguerre/nn/text_time_embedding.hpp"

/// What a conditional U-Net makes of prompts and pictures before its blocks read them.
namespace daguerre::models {

/// What a conditional U-Net may be told beside the sample and the time. What is empty is not given.
struct UNet2DConditionInputs {
  Tensor<float> encoder_hidden_states;   ///< the prompt's tokens, `[N, S, W]`
  Tensor<float> encoder_attention_mask;  ///< `[N, S]`: 1 for tokens to look at, 0 for others
  Tensor<float> class_labels;            ///< `[N]` ids or numbers, or `[N, W]`; see ClassEmbeddingOptions
  Tensor<float> timestep_cond;           ///< `[N, W]`, the guidance of distilled models
  Tensor<float> text_embeds;             ///< `[N, W]`, the prompt in one vector
  Tensor<float> time_ids;                ///< `[N, K]`, sizes and crops or scores
  Tensor<float> image_embeds;            ///< `[N, W]`, a picture in one vector
  Tensor<float> hint;                    ///< `[N, 8 H, 8 W, 3]`, a picture to keep to
  UNetFeatures features;                 ///< of networks beside this one
  /// What each of the shape's cross-attentions looks at beside the prompt: the keys of image prompts.
  std::vector<std::vector<nn::DecoupledKeys>> decoupled;
  std::optional<FreeU> free_u;
  std::optional<nn::TemporalWindows> windows;  ///< of motion modules, for films longer than these know
};

/// How the prompt's tokens are brought to the width that blocks read (diffusers' encoder_hid_dim_type).
struct StatesProjectionOptions {
  enum class Kind {
    none,
    text_proj,        ///< tokens through a linear layer
    text_image_proj,  ///< ten tokens from image_embeds, then those of the text (Kandinsky 2.1)
    image_proj,       ///< 32 tokens from image_embeds; there is no text (Kandinsky 2.2)
  };
  Kind kind = Kind::none;
  Index input_width = 0;
  Index width = 0;  ///< of the result
};

template <class T>
class StatesProjection {
 public:
  StatesProjection(const nn::Loader& loader, const StatesProjectionOptions& options);
  /// `[N, S, width]`, rounded to T. Throws ArgumentError where what it needs is not given, or does not fit
  /// `batch`.
  Tensor<T> operator()(const ops::Context& context, const UNet2DConditionInputs& inputs, Index batch) const;

 private:
  Tensor<T> image_tokens(const ops::Context& context, const Tensor<float>& image_embeds, Index batch) const;

  StatesProjectionOptions options_;
  std::optional<nn::Linear<T>> text_, image_;
  std::optional<nn::LayerNorm> norm_;
};

/// What is added to the embedding of the time (diffusers' addition_embed_type).
struct AdditionEmbeddingOptions {
  enum class Kind {
    none,
    text,        ///< the prompt's tokens in one vector (DeepFloyd IF)
    text_image,  ///< text_embeds and image_embeds (Kandinsky 2.1)
    text_time,   ///< text_embeds and time_ids (Stable Diffusion XL)
    image,       ///< image_embeds (Kandinsky 2.2)
    image_hint,  ///< the same; hint becomes further channels of the sample
  };
  Kind kind = Kind::none;
  Index input_width = 0;  ///< of the tokens; of the vectors; of text_embeds and time_ids side by side
  Index width = 0;        ///< of the result
  int heads = 64;         ///< text
  Index time_width = 0;   ///< text_time: of each of time_ids
  ops::TimestepEmbeddingOptions sinusoid{};
};

/// In float32: tiny, and all blocks read it.
class AdditionEmbedding {
 public:
  AdditionEmbedding(const nn::Loader& loader, const AdditionEmbeddingOptions& options);
  bool is_none() const noexcept { return options_.kind == AdditionEmbeddingOptions::Kind::none; }

  /// `[N, width]`. Throws ArgumentError where what it needs is not given, or does not fit `batch`.
  Tensor<float> operator()(const ops::Context& context, const UNet2DConditionInputs& inputs,
                           Index batch) const;
  /// The channels that the hint adds to the sample, `[N, H, W, 4]`; empty where the model takes none.
  Tensor<float> hint_channels(const ops::Context& context, const UNet2DConditionInputs& inputs) const;

 private:
  Tensor<float> text_time(const ops::Context& context, const UNet2DConditionInputs& inputs,
                          Index batch) const;

  AdditionEmbeddingOptions options_;
  std::optional<nn::TextTimeEmbedding> tokens_;
  std::optional<nn::TimestepEmbedding<float>> perceptron_;
  std::optional<nn::Linear<float>> text_proj_, image_proj_;
  std::optional<nn::LayerNorm> text_norm_, image_norm_;
  std::vector<nn::Conv2d<float>> hint_;
};

}  // namespace daguerre::models

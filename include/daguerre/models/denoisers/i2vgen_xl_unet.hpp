#pragma once

#include <optional>
#include <span>
#include <vector>

#include "daguerre/config/config.hpp"
#include "daguerre/models/denoisers/unet_2d_embeddings.hpp"
#include "daguerre/models/denoisers/unet_film_body.hpp"
#include "daguerre/nn/transformer.hpp"

namespace daguerre::models {

/// diffusers' I2VGenXLUNet.
struct I2VGenXLUNetConfig {
  UNet2DShape shape;                             ///< whose in_channels are the latents' and the picture's
  Index sample_height = 88, sample_width = 160;  ///< of the latents that the model was trained at
  Index in_channels = 4;                         ///< of the latents
  Index time_embedding_dim = 0;
  Index cross_attention_dim = 1024;

  /// Throws ConfigError for another class, for options it does not know and for values it does not support.
  static I2VGenXLUNetConfig from(const Config& config);
};

/// What that U-Net is told beside sample and time.
struct I2VGenXLInputs {
  Tensor<float> encoder_hidden_states;  ///< the prompt's tokens, `[N, S, cross_attention_dim]`
  Tensor<float> image_embeddings;       ///< the picture's, `[N, K, cross_attention_dim]`
  Tensor<float> image_latents;          ///< of the frames, `[N, F, H, W, 4]`
  std::span<const float> fps;           ///< frames a second, one for each of the N
  std::optional<FreeU> free_u{};
};

/// The denoiser of I2VGen-XL (Zhang et al. 2023): the U-Net of UNet3DCondition, which is told a picture
/// thrice: in channels beside the sample's, in tokens of its latents, and in tokens of its embedding.
template <class T>
class I2VGenXLUNet {
 public:
  I2VGenXLUNet(const I2VGenXLUNetConfig& config, const nn::Loader& loader);

  /// The model's output for `sample[N, F, H, W, in_channels]` at `timesteps` (one, or one for each of the N).
  /// Throws ArgumentError for other shapes.
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& sample,
                           std::span<const float> timesteps, const I2VGenXLInputs& inputs) const;

  const I2VGenXLUNetConfig& config() const noexcept { return config_; }

 private:
  /// SiLU stands between the two.
  struct Perceptron {
    nn::Linear<float> first, second;
  };
  Tensor<float> embedding(const ops::Context& context, std::span<const float> timesteps,
                          std::span<const float> fps, Index films) const;
  /// Prompt, latents of the first frame and embedding of the picture, `[N, S, cross_attention_dim]`.
  Tensor<float> tokens(const ops::Context& context, const I2VGenXLInputs& inputs) const;
  /// What joins the sample's channels, `[N, F, H, W, in_channels]`.
  Tensor<float> channels(const ops::Context& context, const Tensor<float>& image_latents) const;
  void check(const Tensor<float>& sample, const I2VGenXLInputs& inputs) const;

  I2VGenXLUNetConfig config_;
  TimeProjection time_projection_;
  nn::TimestepEmbedding<float> time_embedding_;
  Perceptron fps_embedding_, context_embedding_;
  std::vector<nn::Conv2d<float>> latents_proj_in_, latents_context_;
  nn::LayerNorm encoder_norm_;
  nn::Attention<float> encoder_attention_;
  nn::FeedForward<float> encoder_ff_;
  UNetFilmBody<T> body_;
};

}  // namespace daguerre::models

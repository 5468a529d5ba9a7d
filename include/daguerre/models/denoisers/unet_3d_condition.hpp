#pragma once

#include <span>

#include "daguerre/config/config.hpp"
#include "daguerre/models/denoisers/unet_2d_embeddings.hpp"
#include "daguerre/models/denoisers/unet_film_body.hpp"

namespace daguerre::models {

/// diffusers' UNet3DConditionModel.
struct UNet3DConditionConfig {
  UNet2DShape shape;
  Index sample_height = 32, sample_width = 32;  ///< of the latents that the model was trained at
  Index time_embedding_dim = 0;
  nn::TimestepEmbedding<float>::Options time_perceptron;
  Index cross_attention_dim = 1024;

  /// Throws ConfigError for another class, for options it does not know and for values it does not support.
  static UNet3DConditionConfig from(const Config& config);
};

/// The denoiser of ModelScope's text to video and of Zeroscope (Wang et al. 2023): a U-Net over the frames
/// with convolutions and transformers along them.
template <class T>
class UNet3DCondition {
 public:
  UNet3DCondition(const UNet3DConditionConfig& config, const nn::Loader& loader);

  /// The model's output for `sample[N, F, H, W, in_channels]` at `timesteps` (one, or one for each of the N),
  /// `encoder_hidden_states[N, S, cross_attention_dim]` being the prompt's tokens and `timestep_cond[N, W]`
  /// the guidance of distilled models. Throws ArgumentError for other shapes.
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& sample,
                           std::span<const float> timesteps, const Tensor<float>& encoder_hidden_states,
                           const Tensor<float>& timestep_cond = {},
                           const std::optional<FreeU>& free_u = {}) const;

  const UNet3DConditionConfig& config() const noexcept { return config_; }

 private:
  UNet3DConditionConfig config_;
  TimeProjection time_projection_;
  nn::TimestepEmbedding<float> time_embedding_;
  UNetFilmBody<T> body_;
};

}  // namespace daguerre::models

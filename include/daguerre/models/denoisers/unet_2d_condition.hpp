#pragma once

#include <span>

#include "daguerre/config/config.hpp"
#include "daguerre/models/denoisers/unet_2d_body.hpp"
#include "daguerre/models/denoisers/unet_2d_condition_embeddings.hpp"

namespace daguerre::models {

/// diffusers' UNet2DConditionModel, and UNetMotionModel, which is the same with motion modules.
struct UNet2DConditionConfig {
  UNet2DShape shape;
  Index sample_height = 64, sample_width = 64;  ///< of the latents that the model was trained at
  TimeProjectionOptions time;
  Index time_embedding_dim = 0;
  nn::TimestepEmbedding<float>::Options time_perceptron;
  ops::Activation time_activation = ops::Activation::none;  ///< of all that blocks are told beside the prompt
  ClassEmbeddingOptions classes;
  bool class_embeddings_concat = false;  ///< beside the time's embedding instead of added to it
  AdditionEmbeddingOptions addition;
  StatesProjectionOptions states;

  Index most_frames = 0;  ///< of a film, or of a window of one, where there are motion modules; 0: none

  /// Throws ConfigError for another class, for options it does not know and for values it does not support.
  static UNet2DConditionConfig from(const Config& config);
  /// The same whatever the class is.
  static UNet2DConditionConfig of_any_class(const Config& config);
  /// Whether a block looks at the prompt's tokens, or the time's embedding has something of them.
  bool reads_states() const;
  /// Width of the prompt's tokens as they are given; 0 where the model reads no text.
  Index cross_attention_dim() const;
};

/// What a conditional U-Net's blocks are told.
template <class T>
struct UNet2DConditionStates {
  Tensor<float> temb;      ///< `[N, temb_channels]`, of films for every frame
  Tensor<T> states;        ///< the prompt's tokens, `[N, S, C]`
  Tensor<float> key_bias;  ///< of those, `[N, S]`, or empty
  Index frames = 1;        ///< of each film
};

/// Makes that of the time, the class and the prompt, for a U-Net and for a ControlNet beside it.
template <class T>
class UNet2DConditionEmbedder {
 public:
  /// Reads `time_proj`, `time_embedding`, `class_embedding`, `add_embedding` and `encoder_hid_proj`, as far
  /// as the configuration has them.
  UNet2DConditionEmbedder(const UNet2DConditionConfig& config, const nn::Loader& loader);

  /// Throws ArgumentError where what the model needs is missing, and where it is told what it takes no notice
  /// of.
  UNet2DConditionStates<T> operator()(const ops::Context& context, std::span<const float> timesteps,
                                      const UNet2DConditionInputs& inputs, Index batch) const;
  /// The same for pictures `sample[N, H, W, C]` or films `sample[N, F, H, W, C]`, of which either the films
  /// or all frames are told.
  UNet2DConditionStates<T> for_sample(const ops::Context& context, std::span<const float> timesteps,
                                      const UNet2DConditionInputs& inputs, const Shape& sample) const;
  /// The channels that the hint adds to the sample; empty where the model takes none.
  Tensor<float> hint_channels(const ops::Context& context, const UNet2DConditionInputs& inputs) const {
    return addition_.hint_channels(context, inputs);
  }

 private:
  /// What all blocks are told: the time, the class and what is added to them.
  Tensor<float> embedding(const ops::Context& context, std::span<const float> timesteps,
                          const UNet2DConditionInputs& inputs, Index batch) const;
  void check(const UNet2DConditionInputs& inputs) const;

  UNet2DConditionConfig config_;
  TimeProjection time_projection_;
  nn::TimestepEmbedding<float> time_embedding_;
  ClassEmbedding class_embedding_;
  AdditionEmbedding addition_;
  StatesProjection<T> states_;
};

/// The denoiser of Stable Diffusion (Rombach et al. 2022) and its kin: a U-Net of residual blocks with
/// attention that looks at the prompt. The input's channels are the latents' (4), or latents, mask and masked
/// latents (9) for inpainting models.
template <class T>
class UNet2DCondition {
 public:
  UNet2DCondition(const UNet2DConditionConfig& config, const nn::Loader& loader);

  /// The model's output (epsilon, v or sample, as it was trained) for `sample[N, H, W, in_channels]` at
  /// `timesteps` (one, or one for each of the N). Tokens that the mask leaves out are given a logit of
  /// -10000, as the reference does. Throws ArgumentError where what the model needs is missing, and where it
  /// is told what it takes no notice of.
  ///
  /// With motion modules (AnimateDiff; Guo et al. 2023) also films, `sample[N, F, H, W, in_channels]`: what
  /// is told is of the films or, N F rows of it, of the frames. Features of other networks have N F maps. A
  /// picture is a film of one frame.
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& sample,
                           std::span<const float> timesteps, const UNet2DConditionInputs& inputs) const;
  /// The same for a model that is told a prompt and no more.
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& sample,
                           std::span<const float> timesteps, const Tensor<float>& encoder_hidden_states,
                           const Tensor<float>* encoder_attention_mask = nullptr) const;

  const UNet2DConditionConfig& config() const noexcept { return config_; }

 private:
  UNet2DConditionConfig config_;
  UNet2DConditionEmbedder<T> embedder_;
  UNet2DBody<T> body_;
};

}  // namespace daguerre::models

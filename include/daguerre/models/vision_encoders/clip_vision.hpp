#pragma once

#include <vector>

#include "daguerre/config/config.hpp"
#include "daguerre/nn/clip_layer.hpp"
#include "daguerre/nn/conv.hpp"

namespace daguerre::models {

/// transformers' CLIPVisionConfig, as far as it changes the result.
struct ClipVisionConfig {
  Index hidden_size = 768;
  Index intermediate_size = 3072;
  int num_hidden_layers = 12;
  int num_attention_heads = 12;
  Index num_channels = 3;
  Index image_size = 224;
  Index patch_size = 32;
  ops::Activation hidden_act = ops::Activation::quick_gelu;
  float layer_norm_eps = 1e-5f;
  Index projection_dim = 512;

  /// From the configuration of a CLIPVisionModelWithProjection, or of a CLIPModel, whose `vision_config` is
  /// taken. Throws ConfigError for another class, for options it does not know and for values that are not
  /// possible.
  static ClipVisionConfig from(const Config& config);
};

/// CLIP's image encoder (Radford et al. 2021): a pre-norm transformer over patches and a class token
/// (transformers' CLIPVisionModelWithProjection).
template <class T>
class ClipVision {
 public:
  struct Output {
    /// Before the first layer (normed) and after each one, `[N, 1 + patches, hidden_size]`; none of the others
    /// is normed.
    std::vector<Tensor<float>> hidden_states;
    Tensor<float> pooled;        ///< `[N, hidden_size]`, the class token after the last norm
    Tensor<float> image_embeds;  ///< `[N, projection_dim]`

    const Tensor<float>& last_hidden_state() const { return hidden_states.back(); }
    /// What is before the last layer.
    const Tensor<float>& penultimate() const { return hidden_states[hidden_states.size() - 2]; }
  };

  ClipVision(const ClipVisionConfig& config, const nn::Loader& loader);

  /// `pixel_values[N, image_size, image_size, num_channels]`, normalised as ClipImageProcessor does. Throws
  /// ArgumentError for another shape.
  Output operator()(const ops::Context& context, const Tensor<float>& pixel_values) const;
  const ClipVisionConfig& config() const noexcept { return config_; }

 private:
  ClipVisionConfig config_;
  nn::Conv2d<float> patch_embedding_;
  Tensor<float> class_embedding_, position_embedding_;
  nn::LayerNorm pre_layernorm_;
  std::vector<nn::ClipLayer<T>> layers_;
  nn::LayerNorm post_layernorm_;
  nn::Linear<T> visual_projection_;
};

}  // namespace daguerre::models

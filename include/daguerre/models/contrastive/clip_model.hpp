#pragma once

#include "daguerre/models/text_encoders/clip_text.hpp"
#include "daguerre/models/vision_encoders/clip_vision.hpp"
#include "daguerre/weights/state_dict.hpp"

namespace daguerre::models {

/// Both towers of a CLIP model, whose projections have one width.
struct ClipModelConfig {
  ClipTextConfig text;
  ClipVisionConfig vision;

  /// From transformers' CLIPConfig (class CLIPModel). Throws ConfigError for another class, for options it
  /// does not know, and for values that are not possible.
  static ClipModelConfig from(const Config& config);
  /// From open_clip's `model_cfg` (`embed_dim`, `vision_cfg`, `text_cfg`, `quick_gelu`): a vision transformer
  /// beside its own text transformer. Likewise.
  static ClipModelConfig from_open_clip(const Config& config);
  /// From what the tensors' shapes say, under transformers' names (weights::with_diffusers_names), as
  /// openai/CLIP's `build_model` does: heads of 64 channels, those of open_clip's ViT-H, -g and -bigG as
  /// their configurations have them; these three have exact GELU, all others CLIP's quick one. Throws
  /// WeightError where tensors are missing or have shapes that no such model has.
  static ClipModelConfig from_weights(const weights::StateDict& weights);
};

/// CLIP (Radford et al. 2021): a text tower and a vision tower whose embeddings can be compared
/// (transformers' CLIPModel). Weights bear transformers' names.
template <class T>
class ClipModel {
 public:
  ClipModel(const ClipModelConfig& config, const nn::Loader& loader);

  /// Embeddings `[N, projection_dim]` of `input_ids[N, L]`, not normalised. Throws what ClipText throws.
  Tensor<float> embed_texts(const ops::Context& context, const Tensor<std::int32_t>& input_ids) const;
  /// The same of `pixel_values[N, image_size, image_size, 3]`. Throws what ClipVision throws.
  Tensor<float> embed_pictures(const ops::Context& context, const Tensor<float>& pixel_values) const;
  /// What cosines are multiplied by to become logits: the exponential of the trained `logit_scale`.
  float logit_scale() const noexcept { return logit_scale_; }
  const ClipModelConfig& config() const noexcept { return config_; }

 private:
  ClipModelConfig config_;
  ClipText<T> text_;
  ClipVision<T> vision_;
  float logit_scale_;
};

}  // namespace daguerre::models

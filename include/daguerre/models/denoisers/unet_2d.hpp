#pragma once

#include <cstdint>
#include <span>

#include "daguerre/config/config.hpp"
#include "daguerre/models/denoisers/unet_2d_body.hpp"
#include "daguerre/models/denoisers/unet_2d_embeddings.hpp"

namespace daguerre::models {

/// diffusers' UNet2DModel.
struct UNet2DConfig {
  UNet2DShape shape;
  Index sample_height = 32, sample_width = 32;  ///< what the model was trained at
  TimeProjectionOptions time;
  Index time_embedding_dim = 0;
  ClassEmbeddingOptions classes;
  /// The number of classes that ids are asked for; 0 where the model takes none, or no ids.
  int num_class_embeds() const noexcept {
    return classes.kind == ClassEmbeddingOptions::Kind::table ? static_cast<int>(classes.rows) : 0;
  }

  /// Throws ConfigError for another class, for options it does not know and for values it does not support.
  static UNet2DConfig from(const Config& config);
};

/// The denoiser of pixel-space diffusion models, unconditional or told a class (Ho et al. 2020; Nichol &
/// Dhariwal 2021; Song et al. 2021): a U-Net with self-attention between pixels.
template <class T>
class UNet2D {
 public:
  UNet2D(const UNet2DConfig& config, const nn::Loader& loader);

  /// The model's output for `sample[N, H, W, in_channels]` at `timesteps` (one, or one for each of the N).
  /// `class_labels`: one for each where the model takes classes, else none. Throws ArgumentError.
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& sample,
                           std::span<const float> timesteps,
                           std::span<const std::int32_t> class_labels = {}) const;
  /// The same for what some models take in the place of ids: a number or a vector for each; see
  /// ClassEmbeddingOptions. Empty where the model takes none.
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& sample,
                           std::span<const float> timesteps, const Tensor<float>& class_labels) const;

  const UNet2DConfig& config() const noexcept { return config_; }

 private:
  UNet2DConfig config_;
  TimeProjection time_projection_;
  nn::TimestepEmbedding<float> time_embedding_;
  ClassEmbedding class_embedding_;
  UNet2DBody<T> body_;
};

}  // namespace daguerre::models

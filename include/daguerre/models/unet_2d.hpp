#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "daguerre/models/unet_2d_body.hpp"
#include "daguerre/nn/attention.hpp"
#include "daguerre/weights/config.hpp"

namespace daguerre::models {

/// diffusers' UNet2DModel as the DDPM U-Nets configure it.
struct UNet2DConfig {
  UNet2DShape shape;
  int sample_size = 32;  ///< height and width the model was trained at
  struct Level {
    bool down_attention = false;  ///< AttnDownBlock2D, else DownBlock2D
    bool up_attention = false;    ///< AttnUpBlock2D, else UpBlock2D
    int heads = 1;
  };
  std::vector<Level> attention;  ///< one for each level of the shape
  bool mid_attention = true;
  int mid_attention_groups = 32;  ///< 0: the middle's attention has no group norm
  int num_class_embeds = 0;       ///< 0: unconditional

  /// Throws ConfigError for another class, for options it does not know and for values it does not support.
  static UNet2DConfig from(const weights::Config& config);
};

/// The denoiser of pixel-space diffusion models, unconditional or told a class (Ho et al. 2020; Nichol &
/// Dhariwal 2021): a U-Net with self-attention between pixels.
template <class T>
class UNet2D {
 public:
  UNet2D(const UNet2DConfig& config, const nn::Loader& loader);

  /// The model's output for `sample[N, H, W, in_channels]` at `timesteps` (one, or one for each of the N).
  /// `class_labels`: one for each where the model takes classes, else none. Throws ArgumentError.
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& sample,
                           std::span<const float> timesteps,
                           std::span<const std::int32_t> class_labels = {}) const;

  const UNet2DConfig& config() const noexcept { return config_; }

 private:
  UNet2DConfig config_;
  UNet2DBody<T, nn::SpatialAttention<T>> body_;
  Tensor<float> class_embedding_;
};

}  // namespace daguerre::models

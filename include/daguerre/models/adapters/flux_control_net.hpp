#pragma once

#include <optional>
#include <vector>

#include "daguerre/models/adapters/conditioning_picture.hpp"
#include "daguerre/models/denoisers/flux_transformer.hpp"

namespace daguerre::models {

/// diffusers' FluxControlNetModel.
struct FluxControlNetConfig {
  FluxTransformerConfig transformer;  ///< of which it copies the first blocks
  int num_mode = 0;                   ///< kinds of pictures that a union knows; 0: it is for one
  /// Where pixels are read in the place of latents (XLabs'): how they become a map of the latents' size.
  std::optional<ConditioningPictureOptions> picture;

  /// Throws ConfigError for another class, for options it does not know and for values it does not support.
  static FluxControlNetConfig from(const Config& config);
};

/// A ControlNet beside FLUX.1: some of its blocks, which read a picture to keep to as latents beside the
/// noisy ones. Weights must bear diffusers' names.
template <class T>
class FluxControlNet {
 public:
  FluxControlNet(const FluxControlNetConfig& config, const nn::Loader& loader);

  /// The tokens of `picture[N, H, W, C]` that the network reads, where it reads pixels: `[N, L,
  /// in_channels]`.
  Tensor<float> embed(const ops::Context& context, const Tensor<float>& picture) const;
  /// What is added behind the transformer's blocks, times `scale`; `control[N, L, in_channels]` are tokens as
  /// `embed` makes them or patches of the picture's latents; `mode`: of a union, which kind of picture it is.
  /// Throws ArgumentError.
  TransformerFeatures operator()(const ops::Context& context, const FluxInputs& inputs,
                                 const Tensor<float>& control, std::optional<int> mode, float scale) const;

  const FluxControlNetConfig& config() const noexcept { return config_; }

 private:
  FluxControlNetConfig config_;
  FluxTrunk<T> trunk_;
  nn::Linear<float> control_embedder_;
  std::optional<ConditioningPicture> picture_;
  Tensor<float> modes_;  // [num_mode, dim]
  std::vector<nn::Linear<T>> residuals_, single_residuals_;
};

}  // namespace daguerre::models

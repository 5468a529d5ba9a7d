#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "daguerre/models/denoisers/unet_2d_shape.hpp"
#include "daguerre/nn/conv.hpp"

namespace daguerre::models {

template <class T>
class UNetDownBlock;
template <class T>
class UNetMidBlock;
template <class T>
class UNetUpBlock;
template <class T>
struct UNetBlockInputs;

/// What networks beside a U-Net add to its feature maps.
struct UNetFeatures {
  std::vector<Tensor<float>> down_residuals;  ///< to each skip connection (ControlNet); with mid_residual
  Tensor<float> mid_residual;                 ///< to the middle block's result
  /// To the result of each block on the way down, and where there is one more and it fits, of the middle
  /// (T2I-Adapter).
  std::vector<Tensor<float>> down_features;
};

/// What the U-Nets of diffusers have in common (Ronneberger et al. 2015; Ho et al. 2020): blocks down to the
/// middle and up again over the skip connections.
template <class T>
class UNet2DBody {
 public:
  UNet2DBody(const UNet2DShape& shape, const nn::Loader& root);

  /// `sample[N, H, W, in_channels]` to `[N, H, W, out_channels]`. Throws ArgumentError.
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& sample,
                           const UNetBlockInputs<T>& inputs, const UNetFeatures* features = nullptr) const;

 private:
  UNet2DShape shape_;
  nn::Conv2d<float> conv_in_;
  std::vector<std::shared_ptr<const UNetDownBlock<T>>> down_blocks_;
  std::shared_ptr<const UNetMidBlock<T>> mid_block_;
  std::vector<std::shared_ptr<const UNetUpBlock<T>>> up_blocks_;
  std::optional<nn::GroupNorm> conv_norm_out_;
  nn::Conv2d<float> conv_out_;
};

}  // namespace daguerre::models

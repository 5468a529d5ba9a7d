#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "daguerre/models/denoisers/features.hpp"
#include "daguerre/models/denoisers/unet_2d_shape.hpp"
#include "daguerre/nn/conv.hpp"
#include "daguerre/nn/temporal_transformer.hpp"

namespace daguerre::models {

template <class T>
class UNetDownBlock;
template <class T>
class UNetMidBlock;
template <class T>
class UNetUpBlock;
template <class T>
struct UNetBlockInputs;
struct UNetPath;

/// The way down to the middle, which U-Nets and the ControlNets beside them have in common.
template <class T>
class UNetContractingPath {
 public:
  /// Reads `conv_in`, `down_blocks` and, where the shape has one, `transformer_in` and `mid_block`.
  UNetContractingPath(const UNet2DShape& shape, const nn::Loader& root);

  /// `sample[N, H, W, in_channels]` through the first convolution, to whose result `hint` is added where it
  /// is not empty, and down to the innermost map; what is left for the way up is in `path`. `features`:
  /// see UNetFeatures::down_features. Throws ArgumentError.
  Tensor<float> down(const ops::Context& context, const Tensor<float>& sample,
                     const UNetBlockInputs<T>& inputs, const UNetFeatures* features,
                     const Tensor<float>& hint, UNetPath& path) const;
  /// Through the middle; as it is where there is none.
  Tensor<float> middle(const ops::Context& context, Tensor<float> x, const UNetBlockInputs<T>& inputs,
                       const UNetFeatures* features) const;

 private:
  UNet2DShape shape_;
  nn::Conv2d<float> conv_in_;
  std::optional<nn::TemporalTransformer<float>> transformer_in_;  // as the convolutions at the ends
  std::vector<std::shared_ptr<const UNetDownBlock<T>>> down_blocks_;
  std::shared_ptr<const UNetMidBlock<T>> mid_block_;
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
  UNetContractingPath<T> way_down_;
  std::vector<std::shared_ptr<const UNetUpBlock<T>>> up_blocks_;
  std::optional<nn::GroupNorm> conv_norm_out_;
  nn::Conv2d<float> conv_out_;
};

}  // namespace daguerre::models

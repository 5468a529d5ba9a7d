#pragma once

#include <variant>

#include "daguerre/models/denoisers/detail/unet_blocks.hpp"
#include "daguerre/nn/temporal_conv.hpp"
#include "daguerre/nn/temporal_transformer.hpp"

/// What stands beside the layers of U-Nets whose pictures are frames of films.
namespace daguerre::models {

/// The convolutions along the frames behind a residual layer, or none.
template <class T>
class UNetTemporalLayer {
 public:
  /// Reads `temp_convs.index`, or in `resnets.index` what is not between pixels.
  UNetTemporalLayer(const nn::Loader& block, int index, const UNetBlockPlace& place,
                    const UNetBlockShape& shape);
  Tensor<float> operator()(const ops::Context& context, Tensor<float> x,
                           const UNetBlockInputs<T>& inputs) const;

 private:
  std::variant<std::monostate, nn::TemporalConvLayer<T>, nn::TemporalResnet<T>> layer_;
};

/// The transformer along the frames behind one between pixels, or behind any layer, or none.
template <class T>
class UNetTemporalAttention {
 public:
  /// Reads `temp_attentions.index` or `motion_modules.index`.
  UNetTemporalAttention(const nn::Loader& block, int index, const UNetBlockPlace& place,
                        const UNetBlockShape& shape);
  Tensor<float> operator()(const ops::Context& context, Tensor<float> x,
                           const UNetBlockInputs<T>& inputs) const {
    return transformer_ ? (*transformer_)(context, x, inputs.frames, inputs.windows) : x;
  }

 private:
  std::optional<nn::TemporalTransformer<T>> transformer_;
};

}  // namespace daguerre::models

#pragma once

#include <variant>

#include "daguerre/models/denoisers/detail/unet_blocks.hpp"
#include "daguerre/nn/temporal_transformer.hpp"

namespace daguerre::models {

/// The attention behind a residual layer of a U-Net, or none.
template <class T>
class UNetAttention {
 public:
  /// `layer` counts the block's layers. Throws ConfigError for numbers that do not fit.
  UNetAttention(const nn::Loader& loader, const UNetBlockPlace& place, const UNetBlockShape& block,
                int layer);

  bool is_none() const noexcept { return std::holds_alternative<std::monostate>(attention_); }
  /// Throws ArgumentError where a prompt is needed and not given.
  Tensor<float> operator()(const ops::Context& context, Tensor<float> x,
                           const UNetBlockInputs<T>& inputs) const;

 private:
  std::variant<std::monostate, nn::SpatialAttention<T>, nn::Transformer2D<T>, nn::AddedKvAttention<T>,
               nn::SpaceTimeTransformer<T>>
      attention_;
  std::size_t first_cross_attention_ = 0, cross_attentions_ = 0;  // of the shape's
};

}  // namespace daguerre::models

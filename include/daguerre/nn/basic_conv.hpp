#pragma once

#include <memory>

#include "daguerre/nn/loader.hpp"

namespace daguerre::nn {

/// A convolution without a bias, a batch norm and ReLU, `[N, H, W, in]` to `[N, H', W', out]` (torchvision's
/// BasicConv2d): the norm is folded into the convolution at load, and the engine cuts off what is negative.
template <class T>
class BasicConv2d {
 public:
  /// Reads `conv.weight` of shape `[out, in, height, width]` and `bn.weight`, `bn.bias`, `bn.running_mean`
  /// and `bn.running_var`. Throws WeightError; ArgumentError for a variance that has no root.
  BasicConv2d(const Loader& loader, const Shape& weight, const ops::ConvGeometry& geometry, float epsilon);

  Tensor<T> operator()(const ops::Context& context, const Tensor<T>& x) const;

 private:
  std::shared_ptr<const ops::PackedConv2d<T>> packed_;
  Index window_;  // numbers behind one of the result
};

}  // namespace daguerre::nn

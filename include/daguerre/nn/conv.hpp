#pragma once

#include "daguerre/nn/loader.hpp"
#include "daguerre/ops/elementwise.hpp"
#include "daguerre/ops/profile.hpp"

namespace daguerre::nn {

/// A 2-D convolution, `[N, H, W, in]` to `[N, H', W', out]` (torch.nn.Conv2d). Along axes that the context
/// wraps, what lies beyond an edge is the picture's other side and not zeros (padding_mode "circular").
template <class T>
class Conv2d {
 public:
  /// Reads `weight[out, in, kernel, kernel]` and, unless there is none, `bias[out]`. Throws WeightError.
  Conv2d(const Loader& loader, Index in, Index out, Index kernel, const ops::ConvGeometry& geometry,
         bool has_bias = true);

  /// `residual`, of the result's shape or empty, is added last; one that is given away becomes the result.
  Tensor<float> operator()(const ops::Context& context, const Tensor<T>& x,
                           Tensor<float> residual = {}) const;
  /// The same, rounded to T; see ops::PackedConv2d.
  Tensor<T> rounded(const ops::Context& context, const Tensor<T>& x) const;
  /// Both of `x` enlarged to `height` x `width` by the nearest pixel, as ops::upsample_nearest does it.
  Tensor<float> enlarged(const ops::Context& context, const Tensor<float>& x, Index height,
                         Index width) const;
  Tensor<T> enlarged_rounded(const ops::Context& context, const Tensor<float>& x, Index height,
                             Index width) const;

 private:
  /// Whether anything beyond the edges is read that the context wraps.
  bool wraps(const ops::Context& context) const noexcept;
  /// x with as much of its other side around it as is read there, and a whole number of strides before it.
  Tensor<T> surrounded(const ops::Context& context, const Tensor<T>& x) const;
  /// Of the result for that, what belongs to x.
  template <class To>
  Tensor<To> inside(const ops::Context& context, const Tensor<To>& y, const Tensor<T>& x) const;

  std::shared_ptr<const ops::PackedConv2d<T>> packed_;
  ops::ConvGeometry geometry_;
  Index kernel_;
  Index window_;  // numbers behind one of the result
};

/// Halves height and width by a convolution of stride 2 (diffusers' Downsample2D with use_conv). `padding` 1
/// pads all sides, as U-Nets do; 0 pads right and bottom only, as the autoencoder does.
template <class T>
class Downsample2D {
 public:
  Downsample2D(const Loader& loader, Index in, Index out, int padding);
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x) const {
    return conv_(context, ops::cast<T>(context, x));
  }

 private:
  Conv2d<T> conv_;
};

/// Doubles height and width by nearest neighbour, then convolves (diffusers' Upsample2D with use_conv). Where
/// the skip connection of an odd-sized level wants another size, that size is given.
template <class T>
class Upsample2D {
 public:
  Upsample2D(const Loader& loader, Index in, Index out);
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x) const {
    return (*this)(context, x, 2 * x.dim(1), 2 * x.dim(2));
  }
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x, Index height,
                           Index width) const;
  /// Doubled, the result rounded to T; see ops::PackedConv2d.
  Tensor<T> rounded(const ops::Context& context, const Tensor<float>& x) const;

 private:
  Conv2d<T> conv_;
};

}  // namespace daguerre::nn

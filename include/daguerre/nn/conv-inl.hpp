#pragma once

#include "daguerre/nn/conv.hpp"
#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/engine-inl.hpp"
#include "daguerre/ops/resample-inl.hpp"

namespace daguerre::nn {

template <class T>
Conv2d<T>::Conv2d(const Loader& loader, Index in, Index out, Index kernel, const ops::ConvGeometry& geometry,
                  bool has_bias)
    : packed_(loader.context.engine->as<T>().pack_conv2d(
          loader.context, loader.to_be_packed("weight", {out, in, kernel, kernel}),
          has_bias ? loader.tensor("bias", {out}) : Tensor<float>(), geometry)),
      window_(in * kernel * kernel) {}

template <class T>
Downsample2D<T>::Downsample2D(const Loader& loader, Index in, Index out, int padding)
    : conv_(loader.sub("conv"), in, out, 3,
            padding == 0 ? ops::ConvGeometry{2, 0, 0, 1, 1} : ops::ConvGeometry::same(padding, 2)) {}

template <class T>
Upsample2D<T>::Upsample2D(const Loader& loader, Index in, Index out)
    : conv_(loader.sub("conv"), in, out, 3, ops::ConvGeometry::same(1)) {}

template <class T>
Tensor<float> Upsample2D<T>::operator()(const ops::Context& context, const Tensor<float>& x, Index height,
                                        Index width) const {
  return conv_(context, ops::upsample_nearest<T>(context, x, height, width));
}

template <class T>
Tensor<T> Upsample2D<T>::rounded(const ops::Context& context, const Tensor<float>& x) const {
  return conv_.rounded(context, ops::upsample_nearest<T>(context, x, 2 * x.dim(1), 2 * x.dim(2)));
}

extern template class Conv2d<float>;
extern template class Conv2d<bfloat16>;
extern template class Downsample2D<float>;
extern template class Downsample2D<bfloat16>;
extern template class Upsample2D<float>;
extern template class Upsample2D<bfloat16>;

}  // namespace daguerre::nn

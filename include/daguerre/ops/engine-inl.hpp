#pragma once

#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/engine.hpp"
#include "daguerre/ops/operations-inl.hpp"
#include "daguerre/ops/resample-inl.hpp"

namespace daguerre::ops {

template <class T>
Tensor<T> PackedConv2d<T>::rounded(const Context& context, const Tensor<T>& x) const {
  return cast<T>(context, (*this)(context, x));
}

template <class T>
Tensor<float> PackedConv2d<T>::enlarged(const Context& context, const Tensor<float>& x, Index height,
                                        Index width) const {
  return (*this)(context, upsample_nearest<T>(context, x, height, width));
}

template <class T>
Tensor<T> PackedConv2d<T>::enlarged_rounded(const Context& context, const Tensor<float>& x, Index height,
                                            Index width) const {
  return rounded(context, upsample_nearest<T>(context, x, height, width));
}

extern template class PackedConv2d<float>;
extern template class PackedConv2d<bfloat16>;

}  // namespace daguerre::ops

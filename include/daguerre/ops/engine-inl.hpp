#pragma once

#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/engine.hpp"
#include "daguerre/ops/operations-inl.hpp"

namespace daguerre::ops {

template <class T>
Tensor<T> PackedConv2d<T>::rounded(const Context& context, const Tensor<T>& x) const {
  return cast<T>(context, (*this)(context, x));
}

extern template class PackedConv2d<float>;
extern template class PackedConv2d<bfloat16>;

}  // namespace daguerre::ops

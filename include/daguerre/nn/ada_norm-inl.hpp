#pragma once

#include "daguerre/nn/ada_norm.hpp"
#include "daguerre/nn/linear-inl.hpp"
#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/modulation-inl.hpp"

namespace daguerre::nn {

template <class T>
Tensor<float> Modulation<T>::operator()(const ops::Context& context, const Tensor<float>& embedding) const {
  const auto activated = ops::activate(context, embedding, ops::Activation::silu);
  return linear_.accumulate(context, ops::cast<T>(context, activated));
}

extern template class Modulation<float>;
extern template class Modulation<bfloat16>;

}  // namespace daguerre::nn

#pragma once

#include "daguerre/nn/ada_group_norm.hpp"
#include "daguerre/ops/norm-inl.hpp"
#include "daguerre/ops/rearrange-inl.hpp"

namespace daguerre::nn {

template <class T>
Tensor<T> AdaGroupNorm::apply(const ops::Context& context, const Tensor<float>& x,
                              const Tensor<float>& embedding) const {
  const auto modulation = ops::chunk(context, linear_(context, embedding), 2, -1);
  return ops::group_norm<T>(context, x, ones_, zeros_, groups_, epsilon_, activation_,
                            {.channel_scale = &modulation[0], .channel_shift = &modulation[1]});
}

extern template Tensor<float> AdaGroupNorm::apply(const ops::Context&, const Tensor<float>&,
                                                  const Tensor<float>&) const;
extern template Tensor<bfloat16> AdaGroupNorm::apply(const ops::Context&, const Tensor<float>&,
                                                     const Tensor<float>&) const;

}  // namespace daguerre::nn

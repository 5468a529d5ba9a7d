#pragma once

#include <algorithm>

#include "daguerre/nn/ada_group_norm.hpp"
#include "daguerre/ops/norm-inl.hpp"

namespace daguerre::nn {

template <class T>
Tensor<T> AdaGroupNorm::apply(const ops::Context& context, const Tensor<float>& x,
                              const Tensor<float>& embedding) const {
  const auto modulation = linear_(context, embedding);
  const Index batch = modulation.dim(0), channels = ones_.size();
  Tensor<float> scale({batch, channels}), shift({batch, channels});
  for (Index n = 0; n < batch; ++n) {
    const float* row = modulation.data() + n * 2 * channels;
    std::copy_n(row, channels, scale.data() + n * channels);
    std::copy_n(row + channels, channels, shift.data() + n * channels);
  }
  return ops::group_norm<T>(context, x, ones_, zeros_, groups_, epsilon_, activation_,
                            {.channel_scale = &scale, .channel_shift = &shift});
}

extern template Tensor<float> AdaGroupNorm::apply(const ops::Context&, const Tensor<float>&,
                                                  const Tensor<float>&) const;
extern template Tensor<bfloat16> AdaGroupNorm::apply(const ops::Context&, const Tensor<float>&,
                                                     const Tensor<float>&) const;

}  // namespace daguerre::nn

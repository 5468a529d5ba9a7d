#pragma once

#include "daguerre/core/tensor.hpp"

namespace daguerre {

/// `[N, A, B]` to `[N, B, A]`, copying.
template <class T>
Tensor<T> swap_inner_axes(const Tensor<T>& tensor, Index a, Index b) {
  Tensor<T> result(tensor.shape());
  const Index batch = a * b == 0 ? 0 : tensor.size() / (a * b);
  for (Index n = 0; n < batch; ++n) {
    const T* in = tensor.data() + n * a * b;
    T* out = result.data() + n * a * b;
    for (Index i = 0; i < a; ++i)
      for (Index j = 0; j < b; ++j) out[j * a + i] = in[i * b + j];
  }
  return result;
}

/// The reference's `[N, C, H, W]` as this library's `[N, H, W, C]`. For the border only: file weights,
/// recorded data, and the order in which random numbers are drawn.
template <class T>
Tensor<T> to_channels_last(const Tensor<T>& nchw) {
  if (nchw.rank() != 4)
    throw ArgumentError("to_channels_last", "expected [N, C, H, W], found " + to_string(nchw.shape()));
  const Index n = nchw.dim(0), c = nchw.dim(1), h = nchw.dim(2), w = nchw.dim(3);
  return swap_inner_axes(nchw, c, h * w).reshape({n, h, w, c});
}

/// `[N, H, W, C]` as the reference's `[N, C, H, W]`.
template <class T>
Tensor<T> to_channels_first(const Tensor<T>& nhwc) {
  if (nhwc.rank() != 4)
    throw ArgumentError("to_channels_first", "expected [N, H, W, C], found " + to_string(nhwc.shape()));
  const Index n = nhwc.dim(0), h = nhwc.dim(1), w = nhwc.dim(2), c = nhwc.dim(3);
  return swap_inner_axes(nhwc, h * w, c).reshape({n, c, h, w});
}

}  // namespace daguerre

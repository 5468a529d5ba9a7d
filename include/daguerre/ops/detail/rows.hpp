#pragma once

#include "daguerre/core/dtype.hpp"
#include "daguerre/ops/activation.hpp"

namespace daguerre::ops::detail {

/// What the operations between products do with rows of T. Everything between products is float32; T is what
/// products multiply. Raw rows in one thread: shapes, threads and tensors are the operations' business.
template <class T>
struct RowFunctions {
  /// Per channel: sum and sum of squares of (x - shift), added to `sum` and `square`.
  void (*channel_sums)(const T* x, Index rows, Index channels, const float* shift, float* sum, float* square);
  /// y = activation(x * scale + shift) with a scale and a shift for each channel; x is float32, or rounded
  /// as y is.
  void (*scale_shift)(const float* x, T* y, Index rows, Index channels, const float* scale,
                      const float* shift, Activation activation);
  void (*scale_shift_rounded)(const T* x, T* y, Index rows, Index channels, const float* scale,
                              const float* shift, Activation activation);
  void (*layer_norm)(const float* x, T* y, Index rows, Index channels, const float* gamma, const float* beta,
                     float epsilon);
  void (*rms_norm)(const float* x, T* y, Index rows, Index channels, const float* gamma, float epsilon,
                   Activation activation);
  /// y[i] = x[i] * activation(x[width + i]) for rows of 2 * width.
  void (*gate)(const T* x, T* y, Index rows, Index width, Activation activation);
  void (*to_float)(const T* x, float* y, Index count);
  void (*from_float)(const float* x, T* y, Index count);
};

/// Those of float and bfloat16 are the library's kernels for the processor at hand. For another T, which
/// float converts to and from (by static_cast), see rows-inl.hpp.
template <class T>
const RowFunctions<T>& row_functions() noexcept;
template <>
const RowFunctions<float>& row_functions<float>() noexcept;
template <>
const RowFunctions<bfloat16>& row_functions<bfloat16>() noexcept;

}  // namespace daguerre::ops::detail

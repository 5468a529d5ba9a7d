#pragma once

#include <cstdint>

#include "ops/engines/native/kernels.hpp"

/// The inner loops of 8-bit layers, compiled and chosen as those of kernels.hpp.
namespace daguerre::ops::kernels {

/// Where numbers lie among 8-bit ones: x is about scale * (q - zero_point), and 0 is met exactly. `scale` is
/// NaN where the numbers were not finite.
struct Quantization {
  float scale = 1.0f;
  float zero_point = 0.0f;  ///< a whole number in 0..255

  /// That for numbers in [low, high], stretched to hold 0, with q in 0..levels.
  static Quantization of_range(float low, float high, float levels) noexcept;
  bool is_finite() const noexcept { return scale == scale; }
};

/// What a block of a product's 32-bit sums goes through on its way to memory. With the weights' scale s for
/// each column and the sum of its 8-bit weights w, and for each row its own quantisation,
/// out = activation(scale * s * (sum - zero_point * w) + bias) + residual.
struct Int8Epilogue {
  const Quantization* rows = nullptr;  ///< one a row
  const float* scales = nullptr;       ///< s, one a column
  const float* scaled_sums = nullptr;  ///< s * w, one a column
  const float* bias = nullptr;         ///< one a column, or none
  Activation activation = Activation::none;
  const float* residual = nullptr;  ///< laid out as the result, or none
};

template <class T>
struct Int8RowKernels {
  /// The least and the greatest of `count` numbers and `low` and `high`; NaN for both where a number is not
  /// finite.
  void (*range)(const T* x, Index count, float& low, float& high);
  /// q = x / scale + zero_point, rounded, within 0..levels. Zeros for a quantisation that is not finite.
  void (*quantize)(const T* x, Index count, const Quantization& quantization, float levels, std::uint8_t* q);
  void (*finish)(const std::int32_t* sums, Index stride, Index rows, Index columns,
                 const Int8Epilogue& epilogue, T* out, Index out_stride);
};

struct Int8Kernels {
  const char* instruction_set;
  Int8RowKernels<float> f32;
  Int8RowKernels<bfloat16> bf16;

  template <class T>
  const Int8RowKernels<T>& of() const noexcept {
    if constexpr (std::is_same_v<T, float>)
      return f32;
    else
      return bf16;
  }
};

/// Every set that this processor can run, best first.
std::vector<const Int8Kernels*> int8_available();
/// The best of them.
const Int8Kernels& int8_active() noexcept;

// One of these for each instruction set that is compiled in.
extern const Int8Kernels int8_baseline;
extern const Int8Kernels int8_avx2;
extern const Int8Kernels int8_avx512;
extern const Int8Kernels int8_avx512_bf16;

}  // namespace daguerre::ops::kernels

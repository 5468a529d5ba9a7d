#pragma once

// The body of the 8-bit kernels; included behind kernels_impl.hpp, whose helpers it uses.
#include <limits>

#include "ops/engines/native/kernels_impl.hpp"
#include "ops/engines/onednn/int8_kernels.hpp"

namespace daguerre::ops::kernels {
namespace DAGUERRE_KERNELS_NAMESPACE {

/// The numbers as floats: themselves, or widened into `buffer`.
inline const float* widened(const float* x, float*, Index) {
  return x;
}
inline const float* widened(const bfloat16* x, float* buffer, Index count) {
  to_float(x, buffer, count);
  return buffer;
}

template <class T>
void range(const T* x, Index count, float& low, float& high) {
  float buffer[chunk];
  float check = 0.0f;  // NaN as soon as a number is NaN or infinite
  in_chunks(count, [&](Index i, Index length) {
    const ConstMap v(widened(x + i, buffer, length), length);
    const float least = v.minCoeff(), greatest = v.maxCoeff();
    if (least < low) low = least;
    if (greatest > high) high = greatest;
    check += (v * 0.0f).sum();
  });
  if (!(check == 0.0f)) low = high = std::numeric_limits<float>::quiet_NaN();
}

template <class T>
void quantize(const T* x, Index count, const Quantization& quantization, float levels, std::uint8_t* q) {
  if (!quantization.is_finite()) {
    for (Index i = 0; i < count; ++i) q[i] = 0;
    return;
  }
  float buffer[chunk];
  const float inverse = 1.0f / quantization.scale;
  const float offset = quantization.zero_point + 0.5f;  // the conversion below rounds down
  in_chunks(count, [&](Index i, Index length) {
    const float* v = widened(x + i, buffer, length);
    for (Index j = 0; j < length; ++j) {
      float value = v[j] * inverse + offset;
      value = value > 0.0f ? value : 0.0f;
      value = value < levels ? value : levels;
      q[i + j] = static_cast<std::uint8_t>(static_cast<std::int32_t>(value));
    }
  });
}

template <class T>
void finish_int8(const std::int32_t* sums, Index stride, Index rows, Index columns,
                 const Int8Epilogue& epilogue, T* out, Index out_stride) {
  using IntegerMap = Eigen::Map<const Eigen::Array<std::int32_t, Eigen::Dynamic, 1>>;
  float values[chunk];
  in_chunks(columns, [&](Index i, Index length) {
    const ConstMap scales(epilogue.scales + i, length), scaled_sums(epilogue.scaled_sums + i, length);
    for (Index row = 0; row < rows; ++row) {
      const auto [scale, zero_point] = epilogue.rows[row];
      const IntegerMap from(sums + row * stride + i, length);
      Map v(values, length);
      v = (from.template cast<float>() * scales - zero_point * scaled_sums) * scale;
      if (epilogue.bias != nullptr) v += ConstMap(epilogue.bias + i, length);
      activate_in_place(values, length, epilogue.activation);
      if (epilogue.residual != nullptr) v += ConstMap(epilogue.residual + row * out_stride + i, length);
      from_float(values, out + row * out_stride + i, length);
    }
  });
}

template <class T>
constexpr Int8RowKernels<T> int8_row_kernels() {
  return {&range<T>, &quantize<T>, &finish_int8<T>};
}

}  // namespace DAGUERRE_KERNELS_NAMESPACE

#define DAGUERRE_INT8_KERNELS DAGUERRE_PASTE(int8_, DAGUERRE_KERNELS)
extern const Int8Kernels DAGUERRE_INT8_KERNELS;
const Int8Kernels DAGUERRE_INT8_KERNELS = {DAGUERRE_TEXT(DAGUERRE_KERNELS),
                                           selected::int8_row_kernels<float>(),
                                           selected::int8_row_kernels<bfloat16>()};

}  // namespace daguerre::ops::kernels

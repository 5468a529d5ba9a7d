#pragma once

#include <algorithm>
#include <vector>

#include "daguerre/ops/detail/rows.hpp"

namespace daguerre::ops::detail {

/// The row functions of a T that the library has no kernels for: those of float, row by row, between two
/// conversions.
template <class T>
struct ConvertedRows {
  static void to_float(const T* x, float* y, Index count) {
    std::transform(x, x + count, y, convert<float, T>);
  }
  static void from_float(const float* x, T* y, Index count) {
    std::transform(x, x + count, y, convert<T, float>);
  }
  static void channel_sums(const T* x, Index rows, Index channels, const float* shift, float* sum,
                           float* square) {
    auto row = row_of(channels);
    for (Index i = 0; i < rows; ++i) {
      to_float(x + i * channels, row.data(), channels);
      row_functions<float>().channel_sums(row.data(), 1, channels, shift, sum, square);
    }
  }
  static void scale_shift(const float* x, T* y, Index rows, Index channels, const float* scale,
                          const float* shift, Activation activation) {
    auto row = row_of(channels);
    for (Index i = 0; i < rows; ++i) {
      row_functions<float>().scale_shift(x + i * channels, row.data(), 1, channels, scale, shift, activation);
      from_float(row.data(), y + i * channels, channels);
    }
  }
  static void scale_shift_rounded(const T* x, T* y, Index rows, Index channels, const float* scale,
                                  const float* shift, Activation activation) {
    auto row = row_of(channels);
    for (Index i = 0; i < rows; ++i) {
      to_float(x + i * channels, row.data(), channels);
      scale_shift(row.data(), y + i * channels, 1, channels, scale, shift, activation);
    }
  }
  static void layer_norm(const float* x, T* y, Index rows, Index channels, const float* gamma,
                         const float* beta, float epsilon) {
    auto row = row_of(channels);
    for (Index i = 0; i < rows; ++i) {
      row_functions<float>().layer_norm(x + i * channels, row.data(), 1, channels, gamma, beta, epsilon);
      from_float(row.data(), y + i * channels, channels);
    }
  }
  static void rms_norm(const float* x, T* y, Index rows, Index channels, const float* gamma, float epsilon,
                       Activation activation) {
    auto row = row_of(channels);
    for (Index i = 0; i < rows; ++i) {
      row_functions<float>().rms_norm(x + i * channels, row.data(), 1, channels, gamma, epsilon, activation);
      from_float(row.data(), y + i * channels, channels);
    }
  }
  static void gate(const T* x, T* y, Index rows, Index width, Activation activation) {
    auto row = row_of(2 * width), gated = row_of(width);
    for (Index i = 0; i < rows; ++i) {
      to_float(x + i * 2 * width, row.data(), 2 * width);
      row_functions<float>().gate(row.data(), gated.data(), 1, width, activation);
      from_float(gated.data(), y + i * width, width);
    }
  }

 private:
  static std::vector<float> row_of(Index size) { return std::vector<float>(static_cast<std::size_t>(size)); }
};

template <class T>
const RowFunctions<T>& row_functions() noexcept {
  using Rows = ConvertedRows<T>;
  static constexpr RowFunctions<T> functions{
      &Rows::channel_sums, &Rows::scale_shift, &Rows::scale_shift_rounded, &Rows::layer_norm, &Rows::rms_norm,
      &Rows::gate,         &Rows::to_float,    &Rows::from_float};
  return functions;
}

}  // namespace daguerre::ops::detail

#pragma once

#include <cstddef>
#include <vector>

#include "daguerre/core/dtype.hpp"
#include "daguerre/core/shape.hpp"

/// The inner loops of products of few rows, which read each weight once, as it is stored: compiled once for
/// each instruction set and chosen at run time. What they cost is the memory's bandwidth.
///
/// All add up in one order: an element's products go to one of 16 sums, by its index modulo 16, one after the
/// other; the sums are added in pairs 8, 4, 2 and 1 apart. So a product's bits depend neither on how weights
/// are laid out, nor on how many rows there are.
namespace daguerre::ops::kernels {

/// The most rows for which that is worth it: about where arithmetic begins to take longer than reading.
constexpr Index few_rows = 8;
constexpr Index dot_lanes = 16;

/// How rows are stored that can be read where they are: the weights are those numbers, rounded to bfloat16 if
/// `is_rounded`.
struct StoredAs {
  DType dtype = DType::f32;
  bool is_rounded = false;
};

/// sums[i * sums_stride + j] = the product of row i of `x`, [m, k] of which rows are `x_stride` apart and
/// filled up with zeros to a multiple of 16, with row j of `count` rows of weights, `row_bytes` apart.
using Dot = void (*)(const std::byte* weights, Index row_bytes, Index count, Index k, const float* x,
                     Index x_stride, Index m, float* sums, Index sums_stride);
/// The same of columns in a panel as oneDNN lays them out, filled up with zeros: float32 as [k / 16][16]
/// [columns], bfloat16 in pairs as [k / 32][16][columns][2]. `columns` is a multiple of 16.
using PanelDot = void (*)(const void* panel, Index columns, Index k, const float* x, Index x_stride, Index m,
                          float* sums, Index sums_stride);

struct DotKernels {
  const char* instruction_set;
  /// nullptr for types that are decoded first.
  Dot (*of)(StoredAs stored);
  PanelDot float_panels, bfloat16_panels;  ///< nullptr where oneDNN has no such layouts

  template <class T>
  PanelDot panels() const noexcept {
    return sizeof(T) == sizeof(float) ? float_panels : bfloat16_panels;
  }
};

/// Every set that this processor can run, best first.
std::vector<const DotKernels*> available_dots();
/// The best of them.
const DotKernels& active_dots() noexcept;

// One of these for each instruction set that is compiled in.
extern const DotKernels dots_baseline;
extern const DotKernels dots_avx2;
extern const DotKernels dots_avx512;
extern const DotKernels dots_avx512_bf16;

}  // namespace daguerre::ops::kernels

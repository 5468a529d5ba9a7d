#pragma once

#include <cstddef>
#include <vector>

#include "daguerre/core/dtype.hpp"
#include "daguerre/core/shape.hpp"
#include "daguerre/ops/activation.hpp"

/// The inner loops of 3 x 3 convolutions by Winograd's minimal filtering F(4 x 4, 3 x 3) (Lavin & Gray 2015):
/// 36 multiplications for what takes 144 directly. Compiled once for each instruction set and chosen at run
/// time; everything here works in one thread.
///
/// A tile is 4 x 4 results, which 6 x 6 pixels of the input make. Both input and weights are transformed to
/// 36 points, at each of which results are a product over the channels; these are transformed back. The
/// interpolation points 0, 5/8, -5/8, 3/2, -3/2 and infinity halve the error of the usual 0, 1, -1, 2, -2 and
/// infinity (after Barabasz et al. 2018), and the transforms of input and result have exact constants; sums
/// over `winograd_depth` channels, added up, halve it again.
namespace daguerre::ops::kernels {

constexpr Index winograd_points = 36;
constexpr Index winograd_side = 4;      ///< of a tile's results
constexpr Index winograd_in_side = 6;   ///< of the pixels that they are made of
constexpr Index winograd_depth = 64;    ///< channels that are added up before they join the sum
constexpr Index winograd_outputs = 64;  ///< the most output channels of a block in any set

/// A tile's results: activation(sums + bias) + residual, and where they go.
template <class T>
struct WinogradTile {
  T* out = nullptr;
  const float* residual = nullptr;  ///< or none; laid out as `out`
  Activation activation = Activation::none;
  Index row_stride = 0, column_stride = 0;  ///< elements
  Index rows = 0, columns = 0;              ///< no more than `winograd_side`
};

/// `stream` is the distance of neighbouring points' numbers. Those of inputs lie in blocks of
/// `winograd_depth` channels, `[channel blocks][tiles][winograd_depth]`; those of results as
/// `[tiles][outputs]`.
struct WinogradKernels {
  const char* instruction_set;
  Index outputs;  ///< output channels of a block; fewer are filled up with zeros
  Index tiles;    ///< how many tiles at once are best

  /// One tile's `channels` inputs at its 36 pixels, row by row, transformed to `v`, where neighbouring blocks
  /// of channels are `block_stride` apart.
  void (*transform_f32)(const float* const* pixels, Index channels, float* v, Index block_stride,
                        Index stream);
  void (*transform_bf16)(const bfloat16* const* pixels, Index channels, float* v, Index block_stride,
                         Index stream);
  /// The weights of `depth` channels (no more than `winograd_depth`) and a block of outputs, `[depth][9]
  /// [outputs]`, stored as float32, binary16 or bfloat16, as `multiply` reads them.
  void (*transform_weights)(const std::byte* weights, DType dtype, Index depth, float* u, Index stream);
  /// Products of `tiles` tiles' inputs in one block of channels with weights, at all points: written to `m`
  /// or, where `accumulates`, added to what is there.
  void (*multiply)(const float* v, Index v_stream, const float* u, Index u_stream, Index depth, Index tiles,
                   float* m, Index m_stream, bool accumulates);
  /// One tile's results of `outputs` channels, whose bias may be nullptr.
  void (*finish_f32)(const float* m, Index stream, Index outputs, const float* bias,
                     const WinogradTile<float>& tile);
  void (*finish_bf16)(const float* m, Index stream, Index outputs, const float* bias,
                      const WinogradTile<bfloat16>& tile);
};

/// Every set that this processor can run, best first.
std::vector<const WinogradKernels*> available_winograd();
/// The best of them.
const WinogradKernels& active_winograd() noexcept;

// One of these for each instruction set that is compiled in.
extern const WinogradKernels winograd_baseline;
extern const WinogradKernels winograd_avx2;
extern const WinogradKernels winograd_avx512;

}  // namespace daguerre::ops::kernels

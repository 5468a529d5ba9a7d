#pragma once

#include <span>

#include "daguerre/ops/rotary.hpp"

namespace daguerre::ops {

/// Where the cells of a grid are, row after row: each index multiplied by its axis's part of `scale`, `[L,
/// axes]`. Throws ArgumentError for a scale that has not a part for each axis.
Tensor<float> grid_positions(const Shape& grid, std::span<const float> scale);

/// The table for tokens at `positions[L, A]`, which are divided by `extents[A]`. Their heads are turned
/// together, as one vector of `width` channels, the axes taking turns: with n = width / (2 A) frequencies,
/// pair A i + a is turned by (2 p - 1) pi / 2 theta^(i / (n - 1)), p being the divided position on axis a.
/// Pairs that are left over come first and stay. Angles are float32, as the reference has them: the last are
/// thousands of turns (diffusers' LTXVideoRotaryPosEmbed). Throws ArgumentError for positions and extents
/// that do not fit, and for a width that is odd or has not a pair for each axis.
RotaryTable interleaved_rotary_table(const Tensor<float>& positions, std::span<const float> extents,
                                     Index width, float theta);

}  // namespace daguerre::ops

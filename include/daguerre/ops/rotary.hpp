#pragma once

#include <span>

#include "daguerre/core/tensor.hpp"

namespace daguerre::ops {

/// Which two channels of a head are turned together.
enum class RotaryPairs {
  neighbours,  ///< 2 i and 2 i + 1: FLUX, Wan
  halves,      ///< i and i + d / 2: language models
};

/// By which angles the heads of each token are turned, so that the logits of two tokens depend on how far
/// they are from each other only (Su et al. 2021, eq. 34). Made from positions alone: once for all layers.
struct RotaryTable {
  Tensor<float> cosine, sine;  ///< `[L, d / 2]`: a row for each token, a column for each pair of channels
  RotaryPairs pairs = RotaryPairs::neighbours;
};

/// The table for tokens at `positions[L, A]` on A axes, of which each turns `axes[a]` channels of a head,
/// side by side: its pair i by position * theta^(-2 i / axes[a]). Angles are float64 (diffusers' FluxPosEmbed
/// and get_1d_rotary_pos_embed). Throws ArgumentError where the axes' widths are not even and positive, or
/// not one for each axis.
RotaryTable rotary_table(const Tensor<float>& positions, std::span<const Index> axes, double theta,
                         RotaryPairs pairs = RotaryPairs::neighbours);

/// Where the tokens of a grid are that lie one behind the other, the last axis first: `[product of extents,
/// A]`, counted from 0 along each of the A axes. Throws ArgumentError for negative extents.
Tensor<float> grid_positions(std::span<const Index> extents);

}  // namespace daguerre::ops

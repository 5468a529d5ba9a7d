#pragma once

#include <span>
#include <vector>

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
  /// `[L, d / 2]`: a row for each token, a column for each pair of channels; or `[L, heads * d / 2]`, where
  /// every head is turned by angles of its own.
  Tensor<float> cosine, sine;
  RotaryPairs pairs = RotaryPairs::neighbours;
};

/// Where the points of a grid are, `[L, A]`: all combinations of the `coordinates` on each of the A axes, the
/// last axis' fastest.
Tensor<float> grid_positions(std::span<const std::vector<float>> coordinates);

/// The table for tokens at `positions[L, A]` on A axes, of which each turns `axes[a]` channels of a head,
/// side by side: its pair i by position * theta^(-2 i / axes[a]). Angles are float64 (diffusers' FluxPosEmbed
/// and get_1d_rotary_pos_embed). Throws ArgumentError where the axes' widths are not even and positive, or
/// not one for each axis.
RotaryTable rotary_table(const Tensor<float>& positions, std::span<const Index> axes, double theta,
                         RotaryPairs pairs = RotaryPairs::neighbours);

/// The table for tokens at `positions[L, A]` whose pairs are turned by learned frequencies, `frequencies[A,
/// heads * d / 2]`: by the sum of position * frequency over the axes (diffusers' MochiRoPE). Throws
/// ArgumentError for frequencies of another number of axes.
RotaryTable learned_rotary_table(const Tensor<float>& positions, const Tensor<float>& frequencies);

/// How pairs are turned by frequencies of the caller's: those of a language model, stretched or not.
struct RotaryFrequencies {
  std::vector<float> of_pairs;  ///< angle for each position
  float magnitude = 1.0f;       ///< cosines and sines are multiplied with it
  /// How many neighbouring pairs each axis of the positions turns; empty: the only axis turns all.
  std::vector<int> sections{};
  RotaryPairs pairs = RotaryPairs::halves;
};

/// The table for tokens at `positions[A, L]`. Angles, cosines and sines are float32 (transformers'
/// LlamaRotaryEmbedding; with sections Qwen2VLRotaryEmbedding): at positions of thousands the angles'
/// rounding shows. Throws ArgumentError for another number of axes than sections, and for sections that are
/// not all pairs.
RotaryTable rotary_table(const Tensor<std::int32_t>& positions, const RotaryFrequencies& frequencies);

/// Where the tokens of a grid are that lie one behind the other, the last axis first: `[product of extents,
/// A]`, counted from 0 along each of the A axes. Throws ArgumentError for negative extents.
Tensor<float> grid_positions(std::span<const Index> extents);

}  // namespace daguerre::ops

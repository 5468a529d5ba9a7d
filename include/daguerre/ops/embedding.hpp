#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "daguerre/ops/context.hpp"
#include "daguerre/ops/weight_source.hpp"

namespace daguerre::ops {

/// How the sinusoidal timestep embedding is laid out; defaults are those of Stable Diffusion's U-Nets.
struct TimestepEmbeddingOptions {
  bool flip_sin_to_cos = true;  ///< cosines first
  float freq_shift = 0.0f;      ///< subtracted from half the width in the exponent's divisor
  float scale = 1.0f;           ///< multiplies the angle
  float max_period = 10000.0f;
};

/// Sinusoidal embedding of timesteps, `[N]` to `[N, width]`; an odd width is padded with one zero (Vaswani et
/// al. 2017, sec. 3.5; diffusers' get_timestep_embedding). Computed in float32 step by step, as the reference
/// does: at t near 1000 float64 would differ by 6e-5. With a context its engine makes it.
Tensor<float> timestep_embedding(std::span<const float> timesteps, Index width,
                                 const TimestepEmbeddingOptions& options = {});
Tensor<float> timestep_embedding(const Context& context, std::span<const float> timesteps, Index width,
                                 const TimestepEmbeddingOptions& options = {});

/// sin and cos of 2 pi time * frequency, `[N]` to `[N, 2 F]`, for `frequencies[F]`: sines first unless
/// flipped (Tancik et al. 2020; diffusers' GaussianFourierProjection). In float32 step by step, as the
/// reference does it: the angles are large. Throws ArgumentError unless there is a vector of frequencies.
Tensor<float> fourier_embedding(const Context& context, std::span<const float> times,
                                const Tensor<float>& frequencies, bool flip_sin_to_cos);

/// Fixed positions of the patches of a `height` x `width` grid, row after row, `[height * width, channels]`;
/// `channels` is a multiple of 4: sines, then cosines of the column's angles, then of the row's (diffusers'
/// get_2d_sincos_pos_embed; Peebles & Xie 2023). Coordinates run over [0, base_size) on every grid and are
/// divided by `interpolation_scale`. Angles are float64. Throws ArgumentError.
Tensor<float> sincos_positions_2d(Index channels, Index height, Index width, Index base_size,
                                  double interpolation_scale = 1.0);

/// Fixed positions of the patches of a film, frame after frame and row after row, `[frames height width,
/// channels]`; `channels` is a multiple of 16: a quarter from the frame, three eighths from the column and as
/// many from the row, of each sines, then cosines (diffusers' get_3d_sincos_pos_embed). Frames are counted by
/// `temporal_scale`, rows and columns by `spatial_scale`, which they are divided by. Angles are float64.
/// Throws ArgumentError.
Tensor<float> sincos_positions_3d(const Context& context, Index channels, Index frames, Index height,
                                  Index width, double spatial_scale, double temporal_scale);

/// Rows `ids` of `table[V, C]`, as `[ids.size(), C]`. Throws ArgumentError for an id outside the table. With
/// a context its engine gathers them.
template <class T>
Tensor<T> embedding_lookup(const Tensor<T>& table, std::span<const std::int32_t> ids);
template <class T>
Tensor<T> embedding_lookup(const Context& context, const Tensor<T>& table, std::span<const std::int32_t> ids);

/// A table `[V, C]` whose rows are looked up: a tensor of T or, where weights are mapped, as it is stored.
template <class T>
class EmbeddingTable {
 public:
  /// Throws ArgumentError for a weight that is no matrix.
  EmbeddingTable(const Context& context, const Weight& table);
  /// Rows `ids`, as `[ids.size(), C]`. Throws ArgumentError for an id outside the table.
  Tensor<T> operator()(const Context& context, std::span<const std::int32_t> ids) const;

 private:
  Tensor<T> table_;  ///< empty where it is mapped
  std::optional<Weight> mapped_;
};

}  // namespace daguerre::ops

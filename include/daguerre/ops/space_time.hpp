#pragma once

#include <span>

#include "daguerre/ops/context.hpp"

/// Films `[N, F, H, W, C]` whose channels become places in time and space, and the other way.
namespace daguerre::ops {

/// How many places of a film one of a coarser grid stands for.
struct SpaceTimeBlock {
  Index frames = 1;
  Index rows = 1;
  Index columns = 1;

  Index size() const { return frames * rows * columns; }
};

/// How the places of a block lie in the channels, outermost first.
enum class DepthOrder {
  channels_frames_rows_columns,
  channels_frames_columns_rows,
  frames_rows_columns_channels,
};

/// `[N, F, H, W, C B]` to `[N, F t, H h, W w, C]`: the channels of each place are those of a block of t x h x
/// w = B places (Shi et al. 2016, in time as well). Throws ArgumentError where B does not divide the
/// channels.
Tensor<float> depth_to_space_time(const Context& context, const Tensor<float>& x, const SpaceTimeBlock& block,
                                  DepthOrder order);

/// The inverse, `[N, F, H, W, C]` to `[N, F / t, H / h, W / w, C B]`. Throws ArgumentError where the block
/// does not divide the film.
Tensor<float> space_time_to_depth(const Context& context, const Tensor<float>& x, const SpaceTimeBlock& block,
                                  DepthOrder order);

/// `[N, F, H, W, C]` to `[N, F t, H h, W w, channels]`: every channel as often as it takes to fill the block,
/// then as depth_to_space_time does it in the first order (the shortcut of residual autoencoders, Chen et al.
/// 2024, sec. 3.1; diffusers' DupUp3D). Throws ArgumentError where that is no whole number of times.
Tensor<float> duplicate_to_space_time(const Context& context, const Tensor<float>& x,
                                      const SpaceTimeBlock& block, Index channels);

/// x + plane * scale: for `x[N, F, H, W, C]` the same `plane[H, W]` on every frame, as much of it in each
/// channel as `scale[C]` says. An x that is given away becomes the result. Throws ArgumentError for other
/// shapes.
Tensor<float> add_plane(const Context& context, Tensor<float> x, const Tensor<float>& plane,
                        const Tensor<float>& scale);

/// `[..., H, W, C]` with its outermost rows and columns repeated beyond each edge, `[..., H + 2 rows, W + 2
/// columns, C]` (torch's pad with mode "replicate"). Throws ArgumentError where there is nothing to repeat.
template <class T>
Tensor<T> repeat_edges(const Context& context, const Tensor<T>& x, Index rows, Index columns);

/// `[..., C]` to `[..., C + 2 C K]`: x, then the sines, then the cosines of x times each of K frequencies, in
/// float32 step by step, as the angles are large (Tancik et al. 2020; diffusers' FourierFeatures).
Tensor<float> fourier_features(const Context& context, const Tensor<float>& x,
                               std::span<const float> frequencies);

}  // namespace daguerre::ops

#pragma once

#include <span>
#include <vector>

#include "daguerre/ops/context.hpp"

/// Elements at other places, unchanged: joining, cutting out, patches.
namespace daguerre::ops {

/// The tensors joined along `axis` (negative from the end): images and their neighbours, text tokens and
/// image tokens. Throws ArgumentError where there are none, and where they differ in another axis.
template <class T>
Tensor<T> concat(const Context& context, std::span<const Tensor<T>> parts, int axis);

/// The box of `x` that begins at `begin`, one index for each axis, and has the extents `extents`. Shares
/// elements where it is whole behind the first axis. Throws ArgumentError where it is not inside of x.
template <class T>
Tensor<T> crop(const Context& context, const Tensor<T>& x, std::span<const Index> begin,
               const Shape& extents);

/// Elements [begin, begin + length) of `axis` (negative from the end), all of the others (torch.narrow).
/// Throws ArgumentError where they are not inside of x.
template <class T>
Tensor<T> narrow(const Context& context, const Tensor<T>& x, int axis, Index begin, Index length);

/// `count` equal parts of `axis` (negative from the end), one behind the other (torch.chunk): scale and shift
/// of one projection. Throws ArgumentError where `count` does not divide it.
template <class T>
std::vector<Tensor<T>> chunk(const Context& context, const Tensor<T>& x, int count, int axis);

/// `[N, A, B, ...]` as `[N, B, A, ...]`: the pixels of a film's frames as the frames of its pixels, and back.
/// Shares elements where A or B is 1. Throws ArgumentError for fewer than three axes.
template <class T>
Tensor<T> swap_axes(const Context& context, const Tensor<T>& x);

/// What lies in a patch one behind the other.
enum class PatchOrder {
  rows_columns_channels,  ///< pixel by pixel: DiT, Stable Diffusion 3
  channels_rows_columns,  ///< channel by channel: FLUX
};

/// `[N, H, W, C]` to its patches of `patch` x `patch` pixels, row after row, as tokens `[N, (H / patch) (W /
/// patch), patch patch C]`. Throws ArgumentError where `patch` does not divide H and W.
Tensor<float> patchify(const Context& context, const Tensor<float>& x, Index patch,
                       PatchOrder order = PatchOrder::rows_columns_channels);

/// The inverse: tokens `[N, height width, patch patch C]` to `[N, height patch, width patch, C]`. Throws
/// ArgumentError for tokens of another shape.
Tensor<float> unpatchify(const Context& context, const Tensor<float>& tokens, Index height, Index width,
                         Index patch, PatchOrder order = PatchOrder::rows_columns_channels);

}  // namespace daguerre::ops

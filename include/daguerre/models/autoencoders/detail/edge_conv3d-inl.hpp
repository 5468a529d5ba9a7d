#pragma once

#include <utility>

#include "daguerre/models/autoencoders/detail/edge_conv3d.hpp"
#include "daguerre/nn/conv3d-inl.hpp"
#include "daguerre/ops/space_time-inl.hpp"

namespace daguerre::models::detail {

/// A causal kernel that is given the pixels beyond the edges.
inline nn::FilmGeometry edge_geometry(Index frames, Index side, int stride, int space_stride) {
  return {frames,
          side,
          stride,
          static_cast<int>(frames) - 1,
          0,
          nn::FrameBorder::repeated,
          ops::ConvGeometry{space_stride, 0, 0, 0, 0}};
}

template <class T>
EdgeConv3d<T>::EdgeConv3d(const nn::Loader& loader, Index in, Index out, Index size, int stride,
                          int space_stride)
    : EdgeConv3d(loader, in, out, edge_geometry(size, size, stride, space_stride), size / 2) {}

template <class T>
EdgeConv3d<T> EdgeConv3d<T>::of_blocks(const nn::Loader& loader, Index in, Index out, Index frames,
                                       Index side) {
  return {loader, in, out, edge_geometry(frames, side, static_cast<int>(frames), static_cast<int>(side)),
          (side - 1) / 2};
}

template <class T>
Tensor<float> EdgeConv3d<T>::operator()(const ops::Context& context, const Tensor<T>& x,
                                        Tensor<float> residual, nn::FrameStream<T>* stream) const {
  return conv_(context, ops::repeat_edges(context, x, pad_, pad_), std::move(residual), stream);
}

template <class T>
nn::FrameList<float> EdgeConv3d<T>::frame_by_frame(const ops::Context& context, Index count,
                                                   const nn::FrameSource<T>& frame,
                                                   const nn::FrameSource<float>& residual) const {
  nn::FrameStream<T> stream;
  stream.begin_chunk(true);
  const auto padded = [&](Index i) { return ops::repeat_edges(context, frame(i), pad_, pad_); };
  return conv_.frame_by_frame(context, count, padded, residual, stream);
}

extern template class EdgeConv3d<float>;
extern template class EdgeConv3d<bfloat16>;

}  // namespace daguerre::models::detail

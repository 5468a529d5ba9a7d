#pragma once

#include "daguerre/nn/conv3d.hpp"

namespace daguerre::models::detail {

/// A causal 3-D convolution that sees a film's outermost pixels and its first frame repeated beyond the edges
/// (diffusers' HunyuanVideoCausalConv3d, and CogVideoXCausalConv3d with pad_mode "replicate").
template <class T>
class EdgeConv3d {
 public:
  /// A kernel of size x size x size, `stride` in time and `space_stride` in space. Reads `conv.weight` and
  /// `conv.bias`.
  EdgeConv3d(const nn::Loader& loader, Index in, Index out, Index size, int stride = 1, int space_stride = 1);
  /// A kernel of frames x side x side that moves by its own size.
  static EdgeConv3d of_blocks(const nn::Loader& loader, Index in, Index out, Index frames, Index side);

  /// See nn::Conv3d.
  Tensor<float> operator()(const ops::Context& context, const Tensor<T>& x, Tensor<float> residual = {},
                           nn::FrameStream<T>* stream = nullptr) const;
  /// Of a whole film, frame by frame; see nn::Conv3d.
  nn::FrameList<float> frame_by_frame(const ops::Context& context, Index count,
                                      const nn::FrameSource<T>& frame,
                                      const nn::FrameSource<float>& residual = {}) const;

 private:
  EdgeConv3d(const nn::Loader& loader, Index in, Index out, const nn::FilmGeometry& geometry, Index pad)
      : conv_(loader.sub("conv"), in, out, geometry), pad_(pad) {}

  nn::Conv3d<T> conv_;
  Index pad_;
};

}  // namespace daguerre::models::detail

#pragma once

#include <string>
#include <vector>

#include "daguerre/nn/conv.hpp"

namespace daguerre::models {

struct ConditioningPictureOptions {
  Index in_channels = 3;
  std::vector<Index> channels{16, 32, 96, 256};  ///< of each size, from the picture's own inwards
  Index out_channels = 320;
  bool bgr = false;  ///< the network reads blue first
  bool plain =
      false;  ///< one convolution of the size as it is; `channels` mean nothing (SparseCtrl's for latents)

  /// Pixels along a side of the picture to one of the result.
  Index ratio() const noexcept { return plain ? 1 : Index{1} << (channels.size() - 1); }
};

/// A picture as a map of a network's own size, which it is added to (diffusers'
/// ControlNetConditioningEmbedding; Zhang et al. 2023, sec. 3.3): convolutions with SiLU between them, the
/// sizes halved by strides. In float32: it runs once for a picture.
class ConditioningPicture {
 public:
  /// Reads `conv_in`, `blocks.N`, `conv_out`; a plain one is itself the convolution. Throws WeightError.
  ConditioningPicture(const nn::Loader& loader, const ConditioningPictureOptions& options);

  /// `picture[N, H, W, in_channels]`, with sides that the ratio divides, to `[N, H / ratio, W / ratio,
  /// out_channels]`. Throws ArgumentError.
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& picture) const;

  const ConditioningPictureOptions& options() const noexcept { return options_; }

 private:
  ConditioningPictureOptions options_;
  std::vector<nn::Conv2d<float>> convs_;  // the last without an activation
};

}  // namespace daguerre::models

#pragma once

#include <functional>

#include "daguerre/core/tensor.hpp"
#include "daguerre/media/image.hpp"

namespace daguerre {

/// What `Request::on_step` is shown after each step. A plain value, so that a host can make one to test its
/// callback with.
struct Step {
  int index = 0;  ///< from 0
  int total = 1;
  float timestep = 0.0f;
  double seconds = 0.0;  ///< this step took
  /// The latents after this step, `[N, h, w, C]`, scaled as the denoiser sees them. A copy keeps
  /// them.
  Tensor<float> latents{};
  /// Makes the previews; valid during the call only.
  std::function<Image(Index n)> decode{};

  /// The picture as it would come out now: the sampler's current guess of image `n`, decoded. Takes as long
  /// as the final decoding does. Throws ArgumentError where there is no `decode`.
  Image preview(Index n = 0) const;
};

}  // namespace daguerre

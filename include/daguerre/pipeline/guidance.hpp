#pragma once

#include "daguerre/tensor/tensor.hpp"

namespace daguerre {

/// How strongly the prompt steers.
struct Guidance {
  float scale = 7.5f;    ///< 1 and below: no guidance, and only one pass of the denoiser
  float rescale = 0.0f;  ///< 0..1; pulls the result's standard deviation back to the conditional prediction's

  /// Only the first so many channels are steered, the rest stays the conditional prediction's (the original
  /// DiT's forward_with_cfg); 0: all.
  Index channels = 0;

  bool is_on() const noexcept { return scale > 1.0f; }
};

/// Classifier-free guidance (Ho & Salimans 2022, eq. 6): unconditional + scale * (conditional -
/// unconditional). With `rescale` the deviation over all axes but the first is matched to the conditional
/// prediction's and mixed in (Lin et al. 2024, eq. 14-16; diffusers' rescale_noise_cfg). Shapes must be
/// equal, `[N, ...]`.
Tensor<float> apply_guidance(const Tensor<float>& unconditional, const Tensor<float>& conditional,
                             const Guidance& guidance);

}  // namespace daguerre

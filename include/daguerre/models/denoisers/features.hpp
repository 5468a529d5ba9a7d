#pragma once

#include <cstddef>
#include <vector>

#include "daguerre/core/tensor.hpp"

/// What networks beside a denoiser add to what runs through it. What is empty is not given.
namespace daguerre::models {

/// To a U-Net's feature maps; those of films may be `[N, F, h, w, C]` or those of their frames.
struct UNetFeatures {
  std::vector<Tensor<float>> down_residuals;  ///< to each skip connection (ControlNet); with mid_residual
  Tensor<float> mid_residual;                 ///< to the middle block's result
  /// To the result of each block on the way down, and where there is one more and it fits, of the middle
  /// (T2I-Adapter).
  std::vector<Tensor<float>> down_features;
};

/// To a transformer's tokens of the picture, `[N, L, dim]` each: behind its blocks. Where there are fewer
/// than blocks, each serves several.
struct TransformerFeatures {
  /// Which blocks share one.
  enum class Sharing {
    /// Neighbours, as many as go into the number of blocks, rounded up (FLUX).
    rounded_up,
    /// The same rounded down; where that leaves blocks without one, as evenly as it goes (Stable Diffusion 3:
    /// diffusers until 0.31 and from 0.32 on).
    rounded_down,
    /// Not neighbours: block i is given number i modulo their number (XLabs' for FLUX).
    repeated,
  };
  std::vector<Tensor<float>> residuals;         ///< behind blocks with weights for the picture and the prompt
  std::vector<Tensor<float>> single_residuals;  ///< behind blocks in which both share them; always rounded_up
  Sharing sharing = Sharing::rounded_up;

  /// Of `residuals`, the one for block `i` of `blocks`; nullptr: there is none.
  const Tensor<float>* residual(std::size_t i, std::size_t blocks) const {
    return of(residuals, i, blocks, sharing);
  }
  const Tensor<float>* single_residual(std::size_t i, std::size_t blocks) const {
    return of(single_residuals, i, blocks, Sharing::rounded_up);
  }

 private:
  static const Tensor<float>* of(const std::vector<Tensor<float>>& list, std::size_t i, std::size_t blocks,
                                 Sharing sharing) {
    const auto count = list.size();
    if (count == 0 || count > blocks) return nullptr;
    if (sharing == Sharing::repeated) return &list[i % count];
    if (sharing == Sharing::rounded_up) return &list[i / ((blocks + count - 1) / count)];
    const auto shared = blocks / count;
    // The last block takes none there.
    const bool enough = blocks < 2 || (blocks - 2) / shared < count;
    return &list[enough && i / shared < count ? i / shared : i * count / blocks];
  }
};

}  // namespace daguerre::models

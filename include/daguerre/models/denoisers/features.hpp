#pragma once

#include <vector>

#include "daguerre/core/tensor.hpp"

/// What networks beside a denoiser add to what runs through it. What is empty is not given.
namespace daguerre::models {

/// To a U-Net's feature maps.
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
  std::vector<Tensor<float>> residuals;         ///< behind blocks with weights for the picture and the prompt
  std::vector<Tensor<float>> single_residuals;  ///< behind blocks in which both share them
  /// Which serves where there are too few: block i is given number i modulo their number, not neighbouring
  /// blocks the same one.
  bool repeats = false;
};

}  // namespace daguerre::models

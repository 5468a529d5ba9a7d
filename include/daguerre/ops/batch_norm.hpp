#pragma once

#include "daguerre/ops/weight_source.hpp"

namespace daguerre::ops {

/// A batch norm with what it learned of its training set (torch.nn.BatchNorm2d in eval mode): channel c
/// becomes (x - mean) / sqrt(variance + epsilon) * gamma + beta, all of them `[C]`.
struct BatchNorm {
  Tensor<float> gamma, beta, mean, variance;
  float epsilon = 1e-5f;
};

/// A layer's weight and bias.
struct FoldedLayer {
  WeightSource weight;
  Tensor<float> bias;
};

/// What a layer without a bias, of weight `[C, ...]`, and the batch norm behind it are together: rows are
/// scaled as they are read, in double, and rounded once; nothing is copied. Throws ArgumentError where the
/// shapes do not fit, and for a variance that has no root.
FoldedLayer fold_batch_norm(const WeightSource& weight, const BatchNorm& norm);

}  // namespace daguerre::ops

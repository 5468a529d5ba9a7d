#pragma once

#include "daguerre/ops/context.hpp"

namespace daguerre::metrics {

/// Pictures as pytorch-fid feeds them to the Inception network: [N, H, W, C] in [0, 1] brought to `side` x
/// `side` by `ops::resize_bilinear` (no antialiasing), then 2 x - 1. TensorFlow's original and torch-fidelity
/// sample at other points: figures with the one and the other are not the same metric. Throws ArgumentError.
Tensor<float> inception_input(const ops::Context& context, const Tensor<float>& pictures, Index side = 299);

/// Pictures as torch-fidelity feeds them to the same network: [N, H, W, C] in [0, 255] brought to `side` x
/// `side` by `ops::resize_bilinear_tf1`, then (x - 128) / 128. Throws ArgumentError.
Tensor<float> inception_input_tf1(const ops::Context& context, const Tensor<float>& pictures,
                                  Index side = 299);

}  // namespace daguerre::metrics

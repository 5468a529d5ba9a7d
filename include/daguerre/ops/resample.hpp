#pragma once

#include "daguerre/ops/context.hpp"

namespace daguerre::ops {

/// `[N, H, W, C]` brought to `height` x `width` by nearest neighbour and rounded to T, source index floor(i *
/// H / height) as torch.nn.functional.interpolate(mode="nearest").
template <class T>
Tensor<T> upsample_nearest(const Context& context, const Tensor<float>& x, Index height, Index width);

/// `[N, H, W, C]` brought to `height` x `width` by linear interpolation between the nearest pixel centres, as
/// torch.nn.functional.interpolate(mode="bilinear", align_corners=False): no antialiasing when shrinking,
/// borders repeated. The same bits as torch's on a CPU.
Tensor<float> resize_bilinear(const Context& context, const Tensor<float>& x, Index height, Index width);

/// The same as TensorFlow 1 does it (tf.image.resize_bilinear without half_pixel_centers): the first pixels'
/// corners, not centres, lie on each other, so pixel i is taken at i * H / height. The same bits as
/// torch-fidelity's interpolate_bilinear_2d_like_tensorflow1x.
Tensor<float> resize_bilinear_tf1(const Context& context, const Tensor<float>& x, Index height, Index width);

/// Mean of non-overlapping 2 x 2 windows; an odd last row or column is dropped (torch's avg_pool2d).
Tensor<float> average_pool_2x2(const Context& context, const Tensor<float>& x);

/// Mean of each channel over all pixels, `[N, H, W, C]` to `[N, 1, 1, C]` (torch.mean over both axes).
Tensor<float> global_average_pool(const Context& context, const Tensor<float>& x);

}  // namespace daguerre::ops

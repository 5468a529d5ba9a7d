#include "daguerre/ops/resample.hpp"

#include <algorithm>

namespace daguerre::ops {

template <class T>
Tensor<T> upsample_nearest(const Context& context, const Tensor<T>& x, Index height, Index width) {
  if (x.rank() != 4 || height < 1 || width < 1 || x.size() == 0)
    throw ArgumentError("upsample_nearest", "from " + to_string(x.shape()) + " to " + std::to_string(height) +
                                                " x " + std::to_string(width));
  const Index rows = x.dim(1), columns = x.dim(2), channels = x.dim(3);
  auto y = context.empty<T>({x.dim(0), height, width, channels});
  parallel_for(context.threads, x.dim(0) * height, 4, [&](Index begin, Index end) {
    for (Index line = begin; line < end; ++line) {
      const Index from = line / height * rows + line % height * rows / height;
      T* out = y.data() + line * width * channels;
      for (Index i = 0; i < width; ++i)
        out = std::copy_n(x.data() + (from * columns + i * columns / width) * channels, channels, out);
    }
  });
  return y;
}

template <class T>
Tensor<T> average_pool_2x2(const Context& context, const Tensor<T>& x) {
  if (x.rank() != 4)
    throw ArgumentError("average_pool_2x2", "input " + to_string(x.shape()) + ", expected [N, H, W, C]");
  const Index height = x.dim(1) / 2, width = x.dim(2) / 2, channels = x.dim(3);
  auto y = context.empty<T>({x.dim(0), height, width, channels});
  parallel_for(context.threads, x.dim(0) * height, 4, [&](Index begin, Index end) {
    for (Index line = begin; line < end; ++line) {
      const T* top = x.data() + (line / height * x.dim(1) + line % height * 2) * x.dim(2) * channels;
      const T* bottom = top + x.dim(2) * channels;
      T* out = y.data() + line * width * channels;
      for (Index i = 0; i < width; ++i, top += 2 * channels, bottom += 2 * channels, out += channels)
        for (Index c = 0; c < channels; ++c) {
          const float sum = convert<float>(top[c]) + convert<float>(top[channels + c]) +
                            convert<float>(bottom[c]) + convert<float>(bottom[channels + c]);
          out[c] = convert<T>(0.25f * sum);
        }
    }
  });
  return y;
}

template Tensor<float> upsample_nearest(const Context&, const Tensor<float>&, Index, Index);
template Tensor<bfloat16> upsample_nearest(const Context&, const Tensor<bfloat16>&, Index, Index);
template Tensor<float> average_pool_2x2(const Context&, const Tensor<float>&);
template Tensor<bfloat16> average_pool_2x2(const Context&, const Tensor<bfloat16>&);

}  // namespace daguerre::ops

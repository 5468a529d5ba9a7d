#include "daguerre/ops/resample.hpp"

#include "daguerre/ops/profile.hpp"
#include "ops/kernels.hpp"

namespace daguerre::ops {

template <class T>
Tensor<T> upsample_nearest(const Context& context, const Tensor<float>& x, Index height, Index width) {
  const Profile::Scope scope(context, OpKind::resample);
  if (x.rank() != 4 || height < 1 || width < 1 || x.size() == 0)
    throw ArgumentError("upsample_nearest", "from " + to_string(x.shape()) + " to " + std::to_string(height) +
                                                " x " + std::to_string(width));
  const Index rows = x.dim(1), columns = x.dim(2), channels = x.dim(3);
  auto y = context.empty<T>({x.dim(0), height, width, channels});
  const auto& kernel = kernels::active().of<T>();
  parallel_for(context.threads, x.dim(0) * height, 4, [&](Index begin, Index end) {
    for (Index line = begin; line < end; ++line) {
      const Index from = line / height * rows + line % height * rows / height;
      T* out = y.data() + line * width * channels;
      for (Index i = 0; i < width; ++i)
        kernel.from_float(x.data() + (from * columns + i * columns / width) * channels, out + i * channels,
                          channels);
    }
  });
  return y;
}

Tensor<float> average_pool_2x2(const Context& context, const Tensor<float>& x) {
  const Profile::Scope scope(context, OpKind::resample);
  if (x.rank() != 4)
    throw ArgumentError("average_pool_2x2", "input " + to_string(x.shape()) + ", expected [N, H, W, C]");
  const Index height = x.dim(1) / 2, width = x.dim(2) / 2, channels = x.dim(3);
  auto y = context.empty<float>({x.dim(0), height, width, channels});
  parallel_for(context.threads, x.dim(0) * height, 4, [&](Index begin, Index end) {
    for (Index line = begin; line < end; ++line) {
      const float* top = x.data() + (line / height * x.dim(1) + line % height * 2) * x.dim(2) * channels;
      const float* bottom = top + x.dim(2) * channels;
      float* out = y.data() + line * width * channels;
      for (Index i = 0; i < width; ++i, top += 2 * channels, bottom += 2 * channels, out += channels)
        for (Index c = 0; c < channels; ++c)
          out[c] = 0.25f * (top[c] + top[channels + c] + bottom[c] + bottom[channels + c]);
    }
  });
  return y;
}

template Tensor<float> upsample_nearest(const Context&, const Tensor<float>&, Index, Index);
template Tensor<bfloat16> upsample_nearest(const Context&, const Tensor<float>&, Index, Index);

}  // namespace daguerre::ops

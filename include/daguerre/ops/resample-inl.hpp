#pragma once

#include "daguerre/ops/detail/rows-inl.hpp"
#include "daguerre/ops/engine.hpp"
#include "daguerre/ops/profile.hpp"
#include "daguerre/ops/resample.hpp"

namespace daguerre::ops {
namespace detail {

inline void check_resampling(const char* who, const Tensor<float>& x, Index height, Index width) {
  if (x.rank() != 4 || height < 1 || width < 1 || x.size() == 0)
    throw ArgumentError(who, "from " + to_string(x.shape()) + " to " + std::to_string(height) + " x " +
                                 std::to_string(width));
}

}  // namespace detail

namespace host {

template <class T>
Tensor<T> upsample_nearest(const Context& context, const Tensor<float>& x, Index height, Index width) {
  const Index rows = x.dim(1), columns = x.dim(2), channels = x.dim(3);
  auto y = context.empty<T>({x.dim(0), height, width, channels});
  const auto& kernel = detail::row_functions<T>();
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

}  // namespace host

template <class T>
Tensor<T> upsample_nearest(const Context& context, const Tensor<float>& x, Index height, Index width) {
  const Profile::Scope scope(context, OpKind::resample);
  detail::check_resampling("upsample_nearest", x, height, width);
  if (const auto* engine = engine_for<T>(context)) return engine->upsample_nearest(context, x, height, width);
  return host::upsample_nearest<T>(context, x, height, width);
}

extern template Tensor<float> upsample_nearest(const Context&, const Tensor<float>&, Index, Index);
extern template Tensor<bfloat16> upsample_nearest(const Context&, const Tensor<float>&, Index, Index);

}  // namespace daguerre::ops

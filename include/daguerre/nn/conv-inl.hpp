#pragma once

#include <array>
#include <string>
#include <vector>

#include "daguerre/nn/adaptation-inl.hpp"
#include "daguerre/nn/conv.hpp"
#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/engine-inl.hpp"
#include "daguerre/ops/rearrange-inl.hpp"
#include "daguerre/ops/resample-inl.hpp"

namespace daguerre::nn {
namespace detail {

inline std::string conv_key(const ops::ConvGeometry& geometry) {
  std::string key = "conv2d";
  for (const int number :
       {geometry.stride, geometry.pad_top, geometry.pad_left, geometry.pad_bottom, geometry.pad_right})
    key += " " + std::to_string(number);
  return key;
}

template <class T>
std::shared_ptr<const ops::PackedConv2d<T>> packed_conv2d(const Loader& loader, const Shape& shape,
                                                          const ops::ConvGeometry& geometry, bool has_bias) {
  const auto& context = loader.context;
  const auto pack = [&]() -> std::shared_ptr<const ops::PackedConv2d<T>> {
    return context.engine->as<T>().pack_conv2d(context, loader.to_be_packed("weight", shape),
                                               has_bias ? loader.tensor("bias", {shape[0]}) : Tensor<float>(),
                                               geometry);
  };
  const auto extend = [&](const auto& base, const LowRankChange& change) {
    return ops::with_low_rank(context, base, shape, geometry, change.stack, change.bias);
  };
  const std::array modules{loader};
  return adapted_layer<ops::PackedConv2d<T>>({modules, {&shape, 1}, has_bias}, conv_key(geometry), false,
                                             pack, extend);
}

/// How many pixels are put before a picture whose convolution pads so many: the next multiple of the stride.
inline Index wrapped_before(int pad, int stride) {
  return (pad + stride - 1) / stride * stride;
}

/// `x[N, H, W, C]` with `before` pixels of its end in front of `axis`, and `after` of its beginning behind.
template <class T>
Tensor<T> wrapped_around(const ops::Context& context, const Tensor<T>& x, int axis, Index before,
                         Index after) {
  const Index size = x.dim(axis);
  if (std::max(before, after) > size)
    throw ArgumentError("conv2d", "a side of " + std::to_string(size) + " is too short to wrap around by " +
                                      std::to_string(std::max(before, after)));
  std::vector<Tensor<T>> parts;
  if (before > 0) parts.push_back(ops::narrow(context, x, axis, size - before, before));
  parts.push_back(x);
  if (after > 0) parts.push_back(ops::narrow(context, x, axis, Index{0}, after));
  return parts.size() == 1 ? x : ops::concat<T>(context, parts, axis);
}

}  // namespace detail

template <class T>
Conv2d<T>::Conv2d(const Loader& loader, Index in, Index out, Index kernel, const ops::ConvGeometry& geometry,
                  bool has_bias)
    : packed_(detail::packed_conv2d<T>(loader, {out, in, kernel, kernel}, geometry, has_bias)),
      geometry_(geometry),
      kernel_(kernel),
      window_(in * kernel * kernel) {}

template <class T>
bool Conv2d<T>::wraps(const ops::Context& context) const noexcept {
  return (context.wrap.x && geometry_.pad_left + geometry_.pad_right > 0) ||
         (context.wrap.y && geometry_.pad_top + geometry_.pad_bottom > 0);
}

template <class T>
Tensor<T> Conv2d<T>::surrounded(const ops::Context& context, const Tensor<T>& x) const {
  if (x.rank() != 4) throw ArgumentError("conv2d", to_string(x.shape()) + ", expected [N, H, W, C]");
  auto result = x;
  if (context.wrap.x)
    result = detail::wrapped_around(context, result, 2,
                                    detail::wrapped_before(geometry_.pad_left, geometry_.stride),
                                    geometry_.pad_right);
  if (context.wrap.y)
    result = detail::wrapped_around(context, result, 1,
                                    detail::wrapped_before(geometry_.pad_top, geometry_.stride),
                                    geometry_.pad_bottom);
  return result;
}

template <class T>
template <class To>
Tensor<To> Conv2d<T>::inside(const ops::Context& context, const Tensor<To>& y, const Tensor<T>& x) const {
  const auto before = [&](bool wrapped, int pad) {
    return wrapped ? detail::wrapped_before(pad, geometry_.stride) / geometry_.stride : 0;
  };
  const std::array<Index, 4> begin{0, before(context.wrap.y, geometry_.pad_top),
                                   before(context.wrap.x, geometry_.pad_left), 0};
  return ops::crop(context, y, begin,
                   {y.dim(0), geometry_.output_size(x.dim(1), kernel_, true),
                    geometry_.output_size(x.dim(2), kernel_, false), y.dim(3)});
}

template <class T>
Tensor<float> Conv2d<T>::operator()(const ops::Context& context, const Tensor<T>& x,
                                    Tensor<float> residual) const {
  ops::Profile::Scope scope(context, ops::OpKind::conv2d);
  if (wraps(context)) {
    auto y = (*packed_)(context, surrounded(context, x));
    scope.add_flops(2 * y.size() * window_);
    y = inside(context, y, x);
    return residual.empty() ? y : ops::add(context, y, residual);
  }
  auto y = (*packed_)(context, x, std::move(residual));
  scope.add_flops(2 * y.size() * window_);
  return y;
}

template <class T>
Tensor<T> Conv2d<T>::rounded(const ops::Context& context, const Tensor<T>& x) const {
  ops::Profile::Scope scope(context, ops::OpKind::conv2d);
  const bool wrapped = wraps(context);
  auto y = packed_->rounded(context, wrapped ? surrounded(context, x) : x);
  scope.add_flops(2 * y.size() * window_);
  return wrapped ? inside(context, y, x) : y;
}

template <class T>
Tensor<float> Conv2d<T>::enlarged(const ops::Context& context, const Tensor<float>& x, Index height,
                                  Index width) const {
  if (wraps(context)) return (*this)(context, ops::upsample_nearest<T>(context, x, height, width));
  ops::Profile::Scope scope(context, ops::OpKind::conv2d);
  auto y = packed_->enlarged(context, x, height, width);
  scope.add_flops(2 * y.size() * window_);
  return y;
}

template <class T>
Tensor<T> Conv2d<T>::enlarged_rounded(const ops::Context& context, const Tensor<float>& x, Index height,
                                      Index width) const {
  if (wraps(context)) return rounded(context, ops::upsample_nearest<T>(context, x, height, width));
  ops::Profile::Scope scope(context, ops::OpKind::conv2d);
  auto y = packed_->enlarged_rounded(context, x, height, width);
  scope.add_flops(2 * y.size() * window_);
  return y;
}

template <class T>
Downsample2D<T>::Downsample2D(const Loader& loader, Index in, Index out, int padding)
    : conv_(loader.sub("conv"), in, out, 3,
            padding == 0 ? ops::ConvGeometry{2, 0, 0, 1, 1} : ops::ConvGeometry::same(padding, 2)) {}

template <class T>
Upsample2D<T>::Upsample2D(const Loader& loader, Index in, Index out)
    : conv_(loader.sub("conv"), in, out, 3, ops::ConvGeometry::same(1)) {}

template <class T>
Tensor<float> Upsample2D<T>::operator()(const ops::Context& context, const Tensor<float>& x, Index height,
                                        Index width) const {
  return conv_.enlarged(context, x, height, width);
}

template <class T>
Tensor<T> Upsample2D<T>::rounded(const ops::Context& context, const Tensor<float>& x) const {
  return conv_.enlarged_rounded(context, x, 2 * x.dim(1), 2 * x.dim(2));
}

extern template class Conv2d<float>;
extern template class Conv2d<bfloat16>;
extern template class Downsample2D<float>;
extern template class Downsample2D<bfloat16>;
extern template class Upsample2D<float>;
extern template class Upsample2D<bfloat16>;

}  // namespace daguerre::nn

#pragma once

#include <array>
#include <string>

#include "daguerre/nn/adaptation-inl.hpp"
#include "daguerre/nn/conv.hpp"
#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/engine-inl.hpp"
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
  return adapted_layer<ops::PackedConv2d<T>>({modules, shape, has_bias}, conv_key(geometry), false, pack,
                                             extend);
}

}  // namespace detail

template <class T>
Conv2d<T>::Conv2d(const Loader& loader, Index in, Index out, Index kernel, const ops::ConvGeometry& geometry,
                  bool has_bias)
    : packed_(detail::packed_conv2d<T>(loader, {out, in, kernel, kernel}, geometry, has_bias)),
      window_(in * kernel * kernel) {}

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
  return conv_(context, ops::upsample_nearest<T>(context, x, height, width));
}

template <class T>
Tensor<T> Upsample2D<T>::rounded(const ops::Context& context, const Tensor<float>& x) const {
  return conv_.rounded(context, ops::upsample_nearest<T>(context, x, 2 * x.dim(1), 2 * x.dim(2)));
}

extern template class Conv2d<float>;
extern template class Conv2d<bfloat16>;
extern template class Downsample2D<float>;
extern template class Downsample2D<bfloat16>;
extern template class Upsample2D<float>;
extern template class Upsample2D<bfloat16>;

}  // namespace daguerre::nn

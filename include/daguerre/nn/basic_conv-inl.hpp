#pragma once

#include "daguerre/nn/basic_conv.hpp"
#include "daguerre/ops/batch_norm.hpp"
#include "daguerre/ops/engine-inl.hpp"
#include "daguerre/ops/profile.hpp"

namespace daguerre::nn {

template <class T>
BasicConv2d<T>::BasicConv2d(const Loader& loader, const Shape& weight, const ops::ConvGeometry& geometry,
                            float epsilon)
    : window_(weight.tail().size()) {
  const auto norm = loader.sub("bn");
  const Shape channels{weight[0]};
  const auto folded = ops::fold_batch_norm(loader.sub("conv").to_be_packed("weight", weight),
                                           {.gamma = norm.tensor("weight", channels),
                                            .beta = norm.tensor("bias", channels),
                                            .mean = norm.tensor("running_mean", channels),
                                            .variance = norm.tensor("running_var", channels),
                                            .epsilon = epsilon});
  const auto& context = loader.context;
  packed_ = context.engine->as<T>().pack_conv2d(context, folded.weight, folded.bias, geometry,
                                                ops::Activation::relu);
}

template <class T>
Tensor<T> BasicConv2d<T>::operator()(const ops::Context& context, const Tensor<T>& x) const {
  ops::Profile::Scope scope(context, ops::OpKind::conv2d);
  auto y = packed_->rounded(context, x);
  scope.add_flops(2 * y.size() * window_);
  return y;
}

extern template class BasicConv2d<float>;
extern template class BasicConv2d<bfloat16>;

}  // namespace daguerre::nn

#pragma once

#include "daguerre/models/upscalers/srvgg.hpp"
#include "daguerre/nn/conv-inl.hpp"
#include "daguerre/ops/activation.hpp"
#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/rearrange.hpp"
#include "daguerre/ops/resample-inl.hpp"

namespace daguerre::models {

template <class T>
Srvgg<T>::Srvgg(const SrvggConfig& config, const nn::Loader& loader) : config_(config) {
  const auto conv = [&](int at, Index in, Index out) {
    return nn::Conv2d<T>(loader.sub("body", at), in, out, 3, ops::ConvGeometry::same(1));
  };
  for (int i = 0; i <= config.convs; ++i) {
    convs_.push_back(conv(2 * i, i == 0 ? config.channels : config.features, config.features));
    slopes_.push_back(loader.sub("body", 2 * i + 1).tensor("weight", {config.features}));
  }
  convs_.push_back(
      conv(2 * config.convs + 2, config.features, config.channels * config.scale * config.scale));
}

template <class T>
Tensor<float> Srvgg<T>::operator()(const ops::Context& context, const Tensor<float>& pictures) const {
  if (pictures.rank() != 4 || pictures.dim(3) != config_.channels || pictures.empty())
    throw ArgumentError("srvgg", "pictures " + to_string(pictures.shape()) + ", expected [N, H, W, " +
                                     std::to_string(config_.channels) + "]");
  const Index rows = pictures.dim(1), columns = pictures.dim(2);
  auto x = pictures;
  for (std::size_t i = 0; i < slopes_.size(); ++i) {
    context.check_stop();
    x = ops::leaky_relu(context, convs_[i](context, ops::cast<T>(context, x)), slopes_[i]);
  }
  x = convs_.back()(context, ops::cast<T>(context, x));
  const auto larger = ops::unpatchify(context, x.reshape({x.dim(0), rows * columns, x.dim(3)}), rows, columns,
                                      config_.scale, ops::PatchOrder::channels_rows_columns);
  return ops::add(context, larger,
                  ops::upsample_nearest<float>(context, pictures, larger.dim(1), larger.dim(2)));
}

extern template class Srvgg<float>;
extern template class Srvgg<bfloat16>;

}  // namespace daguerre::models

#pragma once

#include <string>
#include <utility>

#include "daguerre/nn/conv3d-inl.hpp"
#include "daguerre/nn/linear-inl.hpp"
#include "daguerre/nn/temporal_conv.hpp"
#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/norm-inl.hpp"

namespace daguerre::nn {
namespace detail {

/// `[N frames, …]` as `[N, frames, …]`.
inline Tensor<float> as_films(const Tensor<float>& x, Index frames) {
  if (x.rank() != 4 || frames < 1 || x.dim(0) % frames != 0)
    throw ArgumentError("temporal_conv",
                        to_string(x.shape()) + " are no films of " + std::to_string(frames) + " frames");
  return x.reshape({x.dim(0) / frames, frames, x.dim(1), x.dim(2), x.dim(3)});
}

}  // namespace detail

template <class T>
TemporalConvLayer<T>::TemporalConvLayer(const Loader& loader, Index channels, int groups) {
  for (const char* const name : {"conv1", "conv2", "conv3", "conv4"}) {
    const auto step = loader.sub(name);
    // A dropout, which has no weights, is counted in all but the first.
    steps_.push_back(
        {GroupNorm(step.sub("0"), channels, groups, 1e-5f, ops::Activation::silu),
         Conv3d<T>(step.sub(steps_.empty() ? "2" : "3"), channels, channels, FilmGeometry::centred(3, 1))});
  }
}

template <class T>
Tensor<float> TemporalConvLayer<T>::operator()(const ops::Context& context, const Tensor<float>& x,
                                               Index frames) const {
  const auto films = detail::as_films(x, frames);
  auto hidden = films;
  for (const auto& step : steps_) {
    auto normed = step.norm.template apply<T>(context, hidden);
    hidden = {};
    hidden = step.conv(context, normed, &step == &steps_.back() ? films : Tensor<float>());
  }
  return hidden.reshape(x.shape());
}

template <class T>
TemporalResnet<T>::TemporalResnet(const Loader& loader, const Options& options)
    : norm1_(loader.sub("temporal_res_block").sub("norm1"), options.channels, options.groups, options.epsilon,
             ops::Activation::silu),
      conv1_(loader.sub("temporal_res_block").sub("conv1"), options.channels, options.channels,
             FilmGeometry::centred(3, 1)),
      norm2_(loader.sub("temporal_res_block").sub("norm2"), options.channels, options.groups, options.epsilon,
             ops::Activation::silu),
      conv2_(loader.sub("temporal_res_block").sub("conv2"), options.channels, options.channels,
             FilmGeometry::centred(3, 1)),
      mixer_(loader.sub("time_mixer"), options.switched) {
  if (options.temb_channels > 0)
    time_emb_proj_.emplace(loader.sub("temporal_res_block").sub("time_emb_proj"), options.temb_channels,
                           options.channels);
}

template <class T>
Tensor<float> TemporalResnet<T>::operator()(const ops::Context& context, const Tensor<float>& x, Index frames,
                                            const Tensor<float>* temb) const {
  if (time_emb_proj_.has_value() != (temb != nullptr))
    throw ArgumentError("temporal_resnet",
                        time_emb_proj_ ? "a time embedding is needed" : "this layer takes no time embedding");
  const auto films = detail::as_films(x, frames);
  auto hidden = conv1_(context, norm1_.template apply<T>(context, films));
  Tensor<float> told;
  ops::GroupNormExtras extras;
  if (temb != nullptr) {
    told = (*time_emb_proj_)(context, ops::activate(context, *temb, ops::Activation::silu));
    extras.channel_bias = &told;
  }
  auto normed = norm2_.template apply<T>(context, hidden, extras);
  hidden = {};
  hidden = conv2_(context, std::move(normed));
  normed = {};
  auto change = hidden.reshape(x.shape());
  hidden = {};  // so that it may become the result
  return mixer_.changed(context, x, std::move(change));
}

extern template class TemporalConvLayer<float>;
extern template class TemporalConvLayer<bfloat16>;
extern template class TemporalResnet<float>;
extern template class TemporalResnet<bfloat16>;

}  // namespace daguerre::nn

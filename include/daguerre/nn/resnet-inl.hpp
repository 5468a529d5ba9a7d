#pragma once

#include "daguerre/nn/conv-inl.hpp"
#include "daguerre/nn/linear-inl.hpp"
#include "daguerre/nn/resnet.hpp"
#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/fir.hpp"
#include "daguerre/ops/norm-inl.hpp"
#include "daguerre/ops/rearrange-inl.hpp"
#include "daguerre/ops/resample-inl.hpp"

namespace daguerre::nn {

template <class T>
ResnetBlock2D<T>::ResnetBlock2D(const Loader& loader, const ResnetOptions& options)
    : options_(options),
      norm1_(loader.sub("norm1"), options.in_channels, options.groups, options.epsilon,
             options.non_linearity),
      conv1_(loader.sub("conv1"), options.in_channels, options.out_channels, 3, ops::ConvGeometry::same(1)),
      norm2_(loader.sub("norm2"), options.out_channels,
             options.groups_out == 0 ? options.groups : options.groups_out, options.epsilon,
             options.non_linearity),
      conv2_(loader.sub("conv2"), options.out_channels, options.out_channels, 3, ops::ConvGeometry::same(1)) {
  if (options.temb_channels > 0)
    time_emb_proj_.emplace(loader.sub("time_emb_proj"), options.temb_channels,
                           options.scale_shift ? 2 * options.out_channels : options.out_channels);
  if (options.conv_shortcut || options.in_channels != options.out_channels)
    conv_shortcut_.emplace(loader.sub("conv_shortcut"), options.in_channels, options.out_channels,
                           typename Linear<T>::Options{.stored_as_conv = true});
}

template <class T>
Tensor<float> ResnetBlock2D<T>::resized(const ops::Context& context, const Tensor<float>& x) const {
  switch (options_.resize) {
    case ResnetOptions::Resize::up:
      return ops::upsample_nearest<float>(context, x, 2 * x.dim(1), 2 * x.dim(2));
    case ResnetOptions::Resize::down:
      return ops::average_pool_2x2(context, x);
    case ResnetOptions::Resize::fir_up:
      return ops::fir_upsample(context, x, ops::Border::zeros);
    case ResnetOptions::Resize::fir_down:
      return ops::fir_downsample(context, x, ops::Border::zeros);
    case ResnetOptions::Resize::none:
      break;
  }
  return x;
}

template <class T>
template <class From>
Tensor<T> ResnetBlock2D<T>::normed_again(const ops::Context& context, const Tensor<From>& hidden,
                                         const Tensor<float>* temb) const {
  if (temb == nullptr) return norm2_.template apply<T>(context, hidden);

  const auto projected = (*time_emb_proj_)(
      context, options_.skip_time_act ? *temb : ops::activate(context, *temb, options_.non_linearity));
  if (!options_.scale_shift) return norm2_.template apply<T>(context, hidden, {.channel_bias = &projected});
  const auto modulation = ops::chunk(context, projected, 2, -1);
  return norm2_.template apply<T>(context, hidden,
                                  {.channel_scale = &modulation[0], .channel_shift = &modulation[1]});
}

template <class T>
void ResnetBlock2D<T>::check(const ops::Context& context, const Tensor<float>* temb) const {
  if (time_emb_proj_.has_value() != (temb != nullptr))
    throw ArgumentError("resnet",
                        time_emb_proj_ ? "a time embedding is needed" : "this block takes no time embedding");
  context.check_stop();
}

template <class T>
Tensor<float> ResnetBlock2D<T>::sum(const ops::Context& context, const Tensor<T>& normed,
                                    Tensor<float> shortcut) const {
  if (options_.output_scale_factor == 1.0f) return conv2_(context, normed, std::move(shortcut));
  return ops::add(context, conv2_(context, normed), shortcut, 1.0f / options_.output_scale_factor);
}

template <class T>
Tensor<float> ResnetBlock2D<T>::operator()(const ops::Context& context, Tensor<float> x,
                                           const Tensor<float>* temb) const {
  check(context, temb);
  auto shortcut = resized(context, x);
  if (conv_shortcut_) shortcut = conv_shortcut_->accumulate(context, ops::cast<T>(context, shortcut));
  auto normed = options_.resize == ResnetOptions::Resize::none
                    ? norm1_.template apply<T>(context, x)
                    : ops::cast<T>(context, resized(context, norm1_.template apply<float>(context, x)));
  x = {};
  auto hidden = conv1_(context, normed);
  normed = {};
  normed = normed_again(context, hidden, temb);
  hidden = {};
  return sum(context, normed, std::move(shortcut));
}

// Such blocks see the largest maps of all: what is not summed is kept in half the memory, and no longer than
// needed.
template <class T>
Tensor<float> ResnetBlock2D<T>::of_rounded(const ops::Context& context, Tensor<T> x,
                                           const Tensor<float>* temb) const {
  check(context, temb);
  if (!takes_rounded()) throw ArgumentError("resnet", "this block sums its input, which must be float32");
  auto normed = norm1_.template apply<T>(context, x);
  auto hidden = conv1_.rounded(context, normed);
  normed = {};
  auto shortcut = conv_shortcut_->accumulate(context, x);
  x = {};
  normed = normed_again(context, hidden, temb);
  hidden = {};
  return sum(context, normed, std::move(shortcut));
}

extern template class ResnetBlock2D<float>;
extern template class ResnetBlock2D<bfloat16>;

}  // namespace daguerre::nn

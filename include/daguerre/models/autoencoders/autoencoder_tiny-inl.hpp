#pragma once

#include <string>
#include <utility>

#include "daguerre/models/autoencoders/autoencoder_tiny.hpp"
#include "daguerre/nn/conv-inl.hpp"
#include "daguerre/ops/activation.hpp"
#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/resample-inl.hpp"

namespace daguerre::models {
namespace detail {

inline void check_tiny_input(const Tensor<float>& x, Index channels, const char* what) {
  if (x.rank() != 4 || x.dim(3) != channels || x.empty())
    throw ArgumentError("autoencoder_tiny", std::string(what) + " " + to_string(x.shape()) +
                                                ", expected [N, H, W, " + std::to_string(channels) + "]");
}

template <class T>
TinyBlock<T>::TinyBlock(const nn::Loader& loader, Index channels, ops::Activation activation)
    : first_(loader.sub("conv", 0), channels, channels, 3, ops::ConvGeometry::same(1)),
      second_(loader.sub("conv", 2), channels, channels, 3, ops::ConvGeometry::same(1)),
      third_(loader.sub("conv", 4), channels, channels, 3, ops::ConvGeometry::same(1)),
      activation_(activation) {}

template <class T>
Tensor<float> TinyBlock<T>::operator()(const ops::Context& context, const Tensor<float>& x) const {
  const auto next = [&](const nn::Conv2d<T>& conv, const Tensor<float>& from) {
    return ops::activate(context, conv(context, ops::cast<T>(context, from)), activation_);
  };
  const auto inner = next(second_, next(first_, x));
  const auto sum = third_(context, ops::cast<T>(context, inner), x);
  return ops::activate(context, sum, ops::Activation::relu);
}

}  // namespace detail

template <class T>
AutoencoderTiny<T>::AutoencoderTiny(const AutoencoderTinyConfig& config, const nn::Loader& loader)
    : config_(config) {
  using detail::TinyBlock, detail::TinyLevel;
  // Layers are numbered one behind the other, those without weights too.
  const auto conv = [&](const nn::Loader& layers, int at, Index in, Index out,
                        const ops::ConvGeometry& geometry, bool bias) {
    return nn::Conv2d<T>(layers.sub(std::to_string(at)), in, out, 3, geometry, bias);
  };
  const auto add_blocks = [&](const nn::Loader& layers, int& at, int count, TinyLevel<T>& level,
                              Index channels) {
    for (int i = 0; i < count; ++i)
      level.blocks.push_back(TinyBlock<T>(layers.sub(std::to_string(at++)), channels, config.act_fn));
  };
  const auto encoder = loader.sub("encoder").sub("layers");
  int at = 0;
  Index channels = config.in_channels;
  for (std::size_t i = 0; i < config.encoder_block_out_channels.size(); ++i) {
    const Index out = config.encoder_block_out_channels[i];
    TinyLevel<T> level{conv(encoder, at++, channels, out, ops::ConvGeometry::same(1, i == 0 ? 1 : 2), i == 0),
                       {}};
    add_blocks(encoder, at, config.num_encoder_blocks[i], level, out);
    encoder_.push_back(std::move(level));
    channels = out;
  }
  encoder_out_.push_back(
      conv(encoder, at, channels, config.latent_channels, ops::ConvGeometry::same(1), true));

  const auto decoder = loader.sub("decoder").sub("layers");
  const auto& widths = config.decoder_block_out_channels;
  decoder_in_.push_back(
      conv(decoder, 0, config.latent_channels, widths.front(), ops::ConvGeometry::same(1), true));
  at = 2;  // behind the activation
  for (std::size_t i = 0; i < widths.size(); ++i) {
    const bool last = i + 1 == widths.size();
    std::vector<TinyBlock<T>> blocks;
    for (int n = 0; n < config.num_decoder_blocks[i]; ++n)
      blocks.push_back(TinyBlock<T>(decoder.sub(std::to_string(at++)), widths[i], config.act_fn));
    if (!last) ++at;  // the doubling
    decoder_.push_back({conv(decoder, at++, widths[i], last ? config.out_channels : widths[i],
                             ops::ConvGeometry::same(1), last),
                        std::move(blocks)});
  }
}

template <class T>
Tensor<float> AutoencoderTiny<T>::encode(const ops::Context& context, const Tensor<float>& pictures) const {
  detail::check_tiny_input(pictures, config_.in_channels, "pictures");
  auto x = ops::affine(context, pictures, 0.5f, 0.5f);  // from [0, 1]
  for (const auto& level : encoder_) {
    x = level.conv(context, ops::cast<T>(context, x));
    for (const auto& block : level.blocks) x = block(context, x);
  }
  return encoder_out_.front()(context, ops::cast<T>(context, x));
}

template <class T>
Tensor<float> AutoencoderTiny<T>::decode(const ops::Context& context, const Tensor<float>& latents) const {
  constexpr float most = 3.0f;  // latents beyond are bent towards it
  detail::check_tiny_input(latents, config_.latent_channels, "latents");
  auto x = ops::affine(context, ops::hyperbolic_tangent(context, latents, 1.0f / most), most, 0.0f);
  x = ops::activate(context, decoder_in_.front()(context, ops::cast<T>(context, x)), config_.act_fn);
  for (std::size_t i = 0; i < decoder_.size(); ++i) {
    for (const auto& block : decoder_[i].blocks) x = block(context, x);
    const Index factor = i + 1 == decoder_.size() ? 1 : config_.upsampling_scaling_factor;
    x = decoder_[i].conv.enlarged(context, x, factor * x.dim(1), factor * x.dim(2));
  }
  return ops::affine(context, x, 2.0f, -1.0f);
}

template <class T>
Tensor<float> AutoencoderTiny<T>::scale_latents(const ops::Context& context,
                                                const Tensor<float>& latents) const {
  const float scale = 0.5f / config_.latent_magnitude;
  return ops::clamp(context, ops::affine(context, latents, scale, config_.latent_shift), 0.0f, 1.0f);
}

template <class T>
Tensor<float> AutoencoderTiny<T>::unscale_latents(const ops::Context& context,
                                                  const Tensor<float>& values) const {
  const float scale = 2.0f * config_.latent_magnitude;
  return ops::affine(context, values, scale, -scale * config_.latent_shift);
}

extern template class AutoencoderTiny<float>;
extern template class AutoencoderTiny<bfloat16>;

}  // namespace daguerre::models

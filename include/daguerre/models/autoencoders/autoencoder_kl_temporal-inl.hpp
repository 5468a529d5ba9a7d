#pragma once

#include <string>
#include <utility>
#include <vector>

#include "daguerre/models/autoencoders/autoencoder_kl-inl.hpp"
#include "daguerre/models/autoencoders/autoencoder_kl_temporal.hpp"
#include "daguerre/nn/conv3d-inl.hpp"
#include "daguerre/nn/temporal_conv-inl.hpp"

namespace daguerre::models {

template <class T>
TemporalDecoderLayer<T>::TemporalDecoderLayer(const nn::Loader& block, int index, Index in, Index out)
    : spatial(block.sub("resnets", index).sub("spatial_res_block"),
              {.in_channels = in, .out_channels = out, .epsilon = 1e-6f}),
      temporal(block.sub("resnets", index),
               typename nn::TemporalResnet<T>::Options{.channels = out, .epsilon = 1e-5f, .switched = true}) {
}

template <class T>
TemporalDecoder<T>::TemporalDecoder(const nn::Loader& loader, const AutoencoderShape& shape)
    : conv_in_(loader.sub("conv_in"), shape.latent_channels, shape.block_out_channels.back(), 3,
               ops::ConvGeometry::same(1)),
      norm_out_(
          detail::autoencoder_out_norm(loader.sub("conv_norm_out"), shape, shape.block_out_channels.front())),
      conv_out_(loader.sub("conv_out"), shape.block_out_channels.front(), shape.out_channels, 3,
                ops::ConvGeometry::same(1)),
      time_conv_out_(loader.sub("time_conv_out"), shape.out_channels, shape.out_channels,
                     nn::FilmGeometry::centred(3, 1)) {
  Index channels = shape.block_out_channels.back();
  const auto mid = loader.sub("mid_block");
  mid_.emplace_back(mid, 0, channels, channels);
  // Layers that follow the first are run in pairs with attentions, of which there is one.
  if (shape.layers_per_block > 1) {
    mid_attention_.emplace(mid.sub("attentions", 0),
                           typename nn::SpatialAttention<T>::Options{
                               .channels = channels, .norm_epsilon = detail::autoencoder_norm_epsilon});
    mid_.emplace_back(mid, 1, channels, channels);
  }
  const std::size_t count = shape.block_out_channels.size();
  for (std::size_t i = 0; i < count; ++i) {
    const auto level = loader.sub("up_blocks", static_cast<int>(i));
    const Index width = shape.block_out_channels[count - 1 - i];
    Block block;
    for (int j = 0; j <= shape.layers_per_block; ++j, channels = width)
      block.layers.emplace_back(level, j, channels, width);
    if (i + 1 < count) block.upsampler.emplace(level.sub("upsamplers", 0), width, width);
    blocks_.push_back(std::move(block));
  }
}

template <class T>
Tensor<float> TemporalDecoder<T>::operator()(const ops::Context& context,
                                             const Tensor<float>& latents) const {
  const Index films = latents.dim(0), frames = latents.dim(1);
  const auto pictures = latents.reshape({films * frames, latents.dim(2), latents.dim(3), latents.dim(4)});
  auto y = conv_in_(context, ops::cast<T>(context, pictures));
  // What sees a frame by itself sees one after the other: only what is between layers is there of all.
  const auto frame_by_frame = [&](Tensor<float> x, const auto& change) {
    std::vector<Tensor<float>> changed;
    for (Index i = 0; i < x.dim(0); ++i) {
      context.check_stop();
      changed.push_back(change(x.slice(i, i + 1)));
    }
    x = {};
    return changed.size() == 1 ? std::move(changed.front()) : ops::concat<float>(context, changed, 0);
  };
  const nn::Upsample2D<T>* before = nullptr;  // of the next layer
  const auto run = [&](const Layer& layer, Tensor<float> x) {
    const auto* const upsampler = std::exchange(before, nullptr);
    x = frame_by_frame(std::move(x), [&](Tensor<float> frame) {
      if (upsampler == nullptr) return layer.spatial(context, std::move(frame));
      if (layer.spatial.takes_rounded())
        return layer.spatial.of_rounded(context, upsampler->rounded(context, frame));
      return layer.spatial(context, (*upsampler)(context, frame));
    });
    return layer.temporal(context, x, frames);
  };
  for (const auto& layer : mid_) {
    if (&layer != &mid_.front()) y = (*mid_attention_)(context, y);
    y = run(layer, std::move(y));
  }
  for (const auto& block : blocks_) {
    for (const auto& layer : block.layers) y = run(layer, std::move(y));
    if (block.upsampler) before = &*block.upsampler;
  }
  y = frame_by_frame(std::move(y), [&](const Tensor<float>& frame) {
    return conv_out_(context, norm_out_.template apply<T>(context, frame));
  });
  const auto seen = ops::cast<T>(context, y);
  return time_conv_out_(context, seen.reshape({films, frames, seen.dim(1), seen.dim(2), seen.dim(3)}));
}

template <class T>
AutoencoderKlTemporal<T>::AutoencoderKlTemporal(const AutoencoderKlTemporalConfig& config,
                                                const nn::Loader& loader)
    : config_(config),
      encoder_(loader.sub("encoder"), config, 2 * config.latent_channels),
      decoder_(loader.sub("decoder"), config),
      quant_conv_(loader.sub("quant_conv"), 2 * config.latent_channels, 2 * config.latent_channels,
                  {.stored_as_conv = true}) {}

template <class T>
LatentDistribution AutoencoderKlTemporal<T>::encode(const ops::Context& context,
                                                    const Tensor<float>& pictures) const {
  detail::check_autoencoder_input(pictures.shape(), config_.in_channels, "pictures");
  const auto encoded = ops::cast<T>(context, encoder_(context, pictures));
  return detail::split_moments(context, quant_conv_.accumulate(context, encoded));
}

template <class T>
Tensor<float> AutoencoderKlTemporal<T>::decode(const ops::Context& context,
                                               const Tensor<float>& latents) const {
  if (latents.rank() != 5 || latents.dim(4) != config_.latent_channels || latents.empty())
    throw ArgumentError("autoencoder", "latents " + to_string(latents.shape()) + ", expected [N, F, H, W, " +
                                           std::to_string(config_.latent_channels) + "]");
  return decoder_(context, latents);
}

extern template struct TemporalDecoderLayer<float>;
extern template struct TemporalDecoderLayer<bfloat16>;
extern template class TemporalDecoder<float>;
extern template class TemporalDecoder<bfloat16>;
extern template class AutoencoderKlTemporal<float>;
extern template class AutoencoderKlTemporal<bfloat16>;

}  // namespace daguerre::models

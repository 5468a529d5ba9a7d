#pragma once

#include <algorithm>

#include "daguerre/models/autoencoders/autoencoder_kl.hpp"
#include "daguerre/models/autoencoders/autoencoder_parts-inl.hpp"
#include "daguerre/models/autoencoders/detail/tiles.hpp"
#include "daguerre/nn/linear-inl.hpp"
#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/rearrange-inl.hpp"

namespace daguerre::models {
namespace detail {

template <class T>
std::optional<nn::Linear<T>> pointwise_or_none(const nn::Loader& loader, bool wanted, Index in, Index out) {
  if (!wanted) return std::nullopt;
  return nn::Linear<T>(loader, in, out, {.stored_as_conv = true});
}

inline LatentDistribution split_moments(const ops::Context& context, const Tensor<float>& moments) {
  const auto parts = ops::chunk(context, moments, 2, -1);
  return {parts[0], ops::clamp(context, parts[1], -30.0f, 20.0f)};
}

inline void check_autoencoder_input(const Shape& shape, Index channels, const char* what) {
  if (shape.rank() != 4 || shape[3] != channels || shape.size() == 0)
    throw ArgumentError("autoencoder", std::string(what) + " " + to_string(shape) + ", expected [N, H, W, " +
                                           std::to_string(channels) + "]");
}

}  // namespace detail

template <class T>
AutoencoderKl<T>::AutoencoderKl(const AutoencoderKlConfig& config, const nn::Loader& loader)
    : config_(config),
      encoder_(loader.sub("encoder"), config, 2 * config.latent_channels),
      decoder_(loader.sub("decoder"), config),
      quant_conv_(detail::pointwise_or_none<T>(loader.sub("quant_conv"), config.use_quant_conv,
                                               2 * config.latent_channels, 2 * config.latent_channels)),
      post_quant_conv_(detail::pointwise_or_none<T>(loader.sub("post_quant_conv"), config.use_post_quant_conv,
                                                    config.latent_channels, config.latent_channels)) {}

template <class T>
Tensor<float> AutoencoderKl<T>::moments(const ops::Context& context, const Tensor<float>& pictures) const {
  const auto encoded = encoder_(context, pictures);
  return quant_conv_ ? quant_conv_->accumulate(context, ops::cast<T>(context, encoded)) : encoded;
}

template <class T>
LatentDistribution AutoencoderKl<T>::encode(const ops::Context& context,
                                            const Tensor<float>& pictures) const {
  detail::check_autoencoder_input(pictures.shape(), config_.in_channels, "pictures");
  return detail::split_moments(context, moments(context, pictures));
}

template <class T>
Tensor<float> AutoencoderKl<T>::decode(const ops::Context& context, const Tensor<float>& latents) const {
  detail::check_autoencoder_input(latents.shape(), config_.latent_channels, "latents");
  return decoder_(context, post_quant_conv_
                               ? post_quant_conv_->accumulate(context, ops::cast<T>(context, latents))
                               : latents);
}

template <class T>
LatentDistribution AutoencoderKl<T>::encode_tiled(const ops::Context& context, const Tensor<float>& pictures,
                                                  const Tiling& tiling) const {
  detail::check_autoencoder_input(pictures.shape(), config_.in_channels, "pictures");
  return detail::split_moments(
      context,
      in_tiles(context, pictures, tiling.sample_min_size, tiling.latent_min_size, tiling.overlap_factor,
               [&](const Tensor<float>& tile) { return moments(context, tile); }));
}

template <class T>
Tensor<float> AutoencoderKl<T>::decode_tiled(const ops::Context& context, const Tensor<float>& latents,
                                             const Tiling& tiling) const {
  detail::check_autoencoder_input(latents.shape(), config_.latent_channels, "latents");
  return in_tiles(context, latents, tiling.latent_min_size, tiling.sample_min_size, tiling.overlap_factor,
                  [&](const Tensor<float>& tile) { return decode(context, tile); });
}

template <class T>
Tiling AutoencoderKl<T>::default_tiling() const {
  return {config_.sample_size, std::max<Index>(1, config_.sample_size / config_.downscale()), 0.25};
}

extern template class AutoencoderKl<float>;
extern template class AutoencoderKl<bfloat16>;

}  // namespace daguerre::models

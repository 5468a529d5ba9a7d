#pragma once

#include <optional>
#include <vector>

#include "daguerre/config/config.hpp"
#include "daguerre/nn/conv.hpp"

namespace daguerre::models {

/// diffusers' AutoencoderTiny.
struct AutoencoderTinyConfig {
  Index in_channels = 3, out_channels = 3;
  Index latent_channels = 4;
  std::vector<Index> encoder_block_out_channels{64, 64, 64, 64};  ///< from the picture's level inwards
  std::vector<Index> decoder_block_out_channels{64, 64, 64, 64};  ///< from the latents' level outwards
  std::vector<int> num_encoder_blocks{1, 3, 3, 3};
  std::vector<int> num_decoder_blocks{3, 3, 3, 1};
  Index upsampling_scaling_factor = 2;
  ops::Activation act_fn = ops::Activation::relu;
  float scaling_factor = 1.0f, shift_factor = 0.0f;
  float latent_magnitude = 3.0f, latent_shift = 0.5f;  ///< of latents as the values of a picture

  /// Pixels along a side of a picture to one latent.
  Index downscale() const;
  /// Throws ConfigError for another class, for options it does not know and for values it does not support.
  static AutoencoderTinyConfig from(const Config& config);
};

namespace detail {

/// Three convolutions and what skips them (diffusers' AutoencoderTinyBlock).
template <class T>
class TinyBlock {
 public:
  TinyBlock(const nn::Loader& loader, Index channels, ops::Activation activation);
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x) const;

 private:
  nn::Conv2d<T> first_, second_, third_;
  ops::Activation activation_;
};

/// A level of one side: a convolution before or behind some blocks.
template <class T>
struct TinyLevel {
  nn::Conv2d<T> conv;
  std::vector<TinyBlock<T>> blocks;
};

}  // namespace detail

/// TAESD, a small autoencoder distilled from a large one's latents (Ollin Boer Bohan; diffusers'
/// AutoencoderTiny): a hundredth of the work, for previews, or for pictures in a hurry. Latents are as the
/// denoiser sees them.
template <class T>
class AutoencoderTiny {
 public:
  AutoencoderTiny(const AutoencoderTinyConfig& config, const nn::Loader& loader);

  /// Latents `[N, h, w, latent_channels]` of pictures `[N, H, W, in_channels]` in [-1, 1]. Throws
  /// ArgumentError.
  Tensor<float> encode(const ops::Context& context, const Tensor<float>& pictures) const;
  /// Pictures, about [-1, 1], from such latents.
  Tensor<float> decode(const ops::Context& context, const Tensor<float>& latents) const;

  /// Latents as the values of a picture, 0 to 1, what is beyond cut off (diffusers' scale_latents), and back.
  Tensor<float> scale_latents(const ops::Context& context, const Tensor<float>& latents) const;
  Tensor<float> unscale_latents(const ops::Context& context, const Tensor<float>& values) const;

  const AutoencoderTinyConfig& config() const noexcept { return config_; }

 private:
  AutoencoderTinyConfig config_;
  std::vector<detail::TinyLevel<T>> encoder_;
  std::vector<nn::Conv2d<T>> encoder_out_;  // one
  std::vector<nn::Conv2d<T>> decoder_in_;   // one
  std::vector<detail::TinyLevel<T>> decoder_;
};

}  // namespace daguerre::models

#pragma once

#include <string>
#include <utility>

#include "daguerre/models/autoencoders/detail/film_frames.hpp"
#include "daguerre/models/upscalers/ltx_latent_upsampler.hpp"
#include "daguerre/nn/conv-inl.hpp"
#include "daguerre/nn/conv3d-inl.hpp"
#include "daguerre/ops/activation.hpp"
#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/norm-inl.hpp"
#include "daguerre/ops/rearrange-inl.hpp"
#include "daguerre/ops/space_time.hpp"

namespace daguerre::models {
namespace detail {

inline constexpr int ltx_upsampler_groups = 32;
inline constexpr float ltx_upsampler_epsilon = 1e-5f;

inline ops::SpaceTimeBlock ltx_upsampler_factor(const LTXLatentUpsamplerConfig& config) {
  const Index side = config.spatial_upsample ? 2 : 1;
  return {config.temporal_upsample ? 2 : 1, side, side};
}

inline nn::GroupNorm ltx_upsampler_norm(const nn::Loader& loader, Index channels,
                                        ops::Activation activation) {
  return {loader, channels, ltx_upsampler_groups, ltx_upsampler_epsilon, activation};
}

}  // namespace detail

template <class T>
template <class Element>
typename LTXLatentUpsampler<T>::template Convolution<Element> LTXLatentUpsampler<T>::convolution(
    const nn::Loader& loader, Index in, Index out, bool frames_apart) {
  if (frames_apart) return nn::Conv2d<Element>(loader, in, out, 3, ops::ConvGeometry::same(1));
  return nn::Conv3d<Element>(loader, in, out, nn::FilmGeometry::centred(3, 3));
}

template <class T>
template <class Element>
Tensor<float> LTXLatentUpsampler<T>::convolve(const ops::Context& context,
                                              const Convolution<Element>& convolution,
                                              const Tensor<Element>& film) {
  if (const auto* over_films = std::get_if<nn::Conv3d<Element>>(&convolution))
    return (*over_films)(context, film);
  return detail::as_film(std::get<nn::Conv2d<Element>>(convolution)(context, detail::as_pictures(film)),
                         film.dim(0));
}

template <class T>
LTXLatentUpsampler<T>::LTXLatentUpsampler(const LTXLatentUpsamplerConfig& config, const nn::Loader& loader)
    : config_(config),
      initial_conv_(convolution<float>(loader.sub("initial_conv"), config.in_channels, config.mid_channels,
                                       config.frames_apart)),
      initial_norm_(
          detail::ltx_upsampler_norm(loader.sub("initial_norm"), config.mid_channels, ops::Activation::silu)),
      // Where frames are not doubled each is a picture to this layer.
      upsampler_(
          convolution<T>(loader.sub("upsampler", 0), config.mid_channels,
                         checked_multiply(config.mid_channels, detail::ltx_upsampler_factor(config).size()),
                         !config.temporal_upsample)),
      final_conv_(convolution<float>(loader.sub("final_conv"), config.mid_channels, config.in_channels,
                                     config.frames_apart)) {
  for (int i = 0; i < config.num_blocks_per_stage; ++i) {
    res_blocks_.push_back(res_block(loader.sub("res_blocks", i)));
    post_upsample_res_blocks_.push_back(res_block(loader.sub("post_upsample_res_blocks", i)));
  }
}

template <class T>
typename LTXLatentUpsampler<T>::ResBlock LTXLatentUpsampler<T>::res_block(const nn::Loader& loader) const {
  const Index channels = config_.mid_channels;
  return {convolution<T>(loader.sub("conv1"), channels, channels, config_.frames_apart),
          detail::ltx_upsampler_norm(loader.sub("norm1"), channels, ops::Activation::silu),
          convolution<T>(loader.sub("conv2"), channels, channels, config_.frames_apart),
          detail::ltx_upsampler_norm(loader.sub("norm2"), channels, ops::Activation::none)};
}

template <class T>
template <class Element>
Tensor<Element> LTXLatentUpsampler<T>::normed(const ops::Context& context, const nn::GroupNorm& norm,
                                              const Tensor<float>& film) const {
  if (!config_.frames_apart) return norm.template apply<Element>(context, film);
  return detail::as_film(norm.template apply<Element>(context, detail::as_pictures(film)), film.dim(0));
}

template <class T>
Tensor<float> LTXLatentUpsampler<T>::run(const ops::Context& context, const ResBlock& block,
                                         const Tensor<float>& x) const {
  context.check_stop();
  const auto inner = convolve<T>(context, block.conv1, ops::cast<T>(context, x));
  const auto y = convolve<T>(context, block.conv2, normed<T>(context, block.norm1, inner));
  return ops::activate(context, ops::add(context, normed<float>(context, block.norm2, y), x),
                       ops::Activation::silu);
}

template <class T>
Tensor<float> LTXLatentUpsampler<T>::doubled(const ops::Context& context, const Tensor<float>& x) const {
  const auto y = ops::depth_to_space_time(context, convolve<T>(context, upsampler_, ops::cast<T>(context, x)),
                                          detail::ltx_upsampler_factor(config_),
                                          ops::DepthOrder::channels_frames_rows_columns);
  // There is no frame before the first.
  return config_.temporal_upsample ? ops::narrow(context, y, 1, 1, y.dim(1) - 1) : y;
}

template <class T>
Tensor<float> LTXLatentUpsampler<T>::operator()(const ops::Context& context,
                                                const Tensor<float>& latents) const {
  if (latents.rank() != 5 || latents.dim(4) != config_.in_channels || latents.empty())
    throw ArgumentError("ltx_latent_upsampler", "latents " + to_string(latents.shape()) +
                                                    ", expected [N, F, h, w, " +
                                                    std::to_string(config_.in_channels) + "]");
  auto x = normed<float>(context, initial_norm_, convolve<float>(context, initial_conv_, latents));
  for (const auto& block : res_blocks_) x = run(context, block, x);
  x = doubled(context, x);
  for (const auto& block : post_upsample_res_blocks_) x = run(context, block, x);
  return convolve<float>(context, final_conv_, x);
}

extern template class LTXLatentUpsampler<float>;
extern template class LTXLatentUpsampler<bfloat16>;

}  // namespace daguerre::models

#pragma once

#include <array>
#include <string>
#include <utility>

#include "daguerre/models/denoisers/i2vgen_xl_unet.hpp"
#include "daguerre/models/denoisers/unet_film_body-inl.hpp"
#include "daguerre/nn/transformer-inl.hpp"
#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/interpolate.hpp"
#include "daguerre/ops/rearrange-inl.hpp"

namespace daguerre::models {
namespace detail {

inline constexpr Index i2vgen_picture_channels = 4;
inline constexpr Index i2vgen_context_side = 32;  // of the map that tokens are made of

/// `x` through the convolutions, SiLU between them.
inline Tensor<float> i2vgen_convolved(const ops::Context& context,
                                      std::span<const nn::Conv2d<float>> convolutions, Tensor<float> x) {
  for (std::size_t i = 0; i < convolutions.size(); ++i) {
    if (i > 0) x = ops::activate(context, x, ops::Activation::silu);
    x = convolutions[i](context, x);
  }
  return x;
}

}  // namespace detail

template <class T>
I2VGenXLUNet<T>::I2VGenXLUNet(const I2VGenXLUNetConfig& config, const nn::Loader& loader)
    : config_(config),
      time_projection_(loader.sub("time_proj"), {.width = config.shape.levels.front().channels}),
      time_embedding_(loader.sub("time_embedding"), config.shape.levels.front().channels,
                      config.time_embedding_dim),
      fps_embedding_{{loader.sub("fps_embedding", 0),
                      config.shape.levels.front().channels,
                      config.time_embedding_dim,
                      {.activation = ops::Activation::silu}},
                     {loader.sub("fps_embedding", 2), config.time_embedding_dim, config.time_embedding_dim}},
      context_embedding_{{loader.sub("context_embedding", 0),
                          config.cross_attention_dim,
                          config.time_embedding_dim,
                          {.activation = ops::Activation::silu}},
                         {loader.sub("context_embedding", 2), config.time_embedding_dim,
                          checked_multiply(config.cross_attention_dim, config.in_channels)}},
      encoder_norm_(loader.sub("image_latents_temporal_encoder").sub("norm1"), config.in_channels, 1e-5f),
      encoder_attention_(loader.sub("image_latents_temporal_encoder").sub("attn1"),
                         {.query_dim = config.in_channels, .heads = 2, .head_dim = config.in_channels}),
      encoder_ff_(loader.sub("image_latents_temporal_encoder").sub("ff"), config.in_channels, "gelu"),
      body_(config.shape, loader) {
  const Index in = detail::i2vgen_picture_channels, own = config.in_channels;
  const auto same = ops::ConvGeometry::same(1), halving = ops::ConvGeometry::same(1, 2);
  const auto proj = loader.sub("image_latents_proj_in"),
             tokens = loader.sub("image_latents_context_embedding");
  latents_proj_in_.emplace_back(proj.sub("0"), in, 4 * own, 3, same);
  latents_proj_in_.emplace_back(proj.sub("2"), 4 * own, 4 * own, 3, same);
  latents_proj_in_.emplace_back(proj.sub("4"), 4 * own, own, 3, same);
  latents_context_.emplace_back(tokens.sub("0"), in, 8 * own, 3, same);
  latents_context_.emplace_back(tokens.sub("3"), 8 * own, 16 * own, 3, halving);
  latents_context_.emplace_back(tokens.sub("5"), 16 * own, config.cross_attention_dim, 3, halving);
}

template <class T>
void I2VGenXLUNet<T>::check(const Tensor<float>& sample, const I2VGenXLInputs& inputs) const {
  const Index films = detail::checked_film_count(sample, config_.in_channels);
  detail::check_film_states(inputs.encoder_hidden_states, films, config_.cross_attention_dim);
  const auto& picture = inputs.image_embeddings;
  if (picture.rank() != 3 || picture.dim(0) != films || picture.dim(2) != config_.cross_attention_dim)
    throw ArgumentError("unet", "image_embeddings " + to_string(picture.shape()) + ", expected [" +
                                    std::to_string(films) + ", K, " +
                                    std::to_string(config_.cross_attention_dim) + "]");
  if (!(inputs.image_latents.shape() == sample.shape().with(4, detail::i2vgen_picture_channels)))
    throw ArgumentError("unet", "image_latents " + to_string(inputs.image_latents.shape()) +
                                    " beside a sample " + to_string(sample.shape()));
  if (const auto count = static_cast<Index>(inputs.fps.size()); count != 1 && count != films)
    throw ArgumentError("unet",
                        std::to_string(count) + " frame rates for a batch of " + std::to_string(films));
}

template <class T>
Tensor<float> I2VGenXLUNet<T>::embedding(const ops::Context& context, std::span<const float> timesteps,
                                         std::span<const float> fps, Index films) const {
  const auto time = embedded_time(context, time_projection_, time_embedding_, timesteps, films);
  std::vector<float> rates(fps.begin(), fps.end());
  rates.resize(static_cast<std::size_t>(films), rates.front());
  const auto rate =
      fps_embedding_.second(context, fps_embedding_.first(context, time_projection_(context, rates)));
  return ops::add(context, time, rate);
}

template <class T>
Tensor<float> I2VGenXLUNet<T>::tokens(const ops::Context& context, const I2VGenXLInputs& inputs) const {
  const auto& latents = inputs.image_latents;
  const Index films = latents.dim(0), width = config_.cross_attention_dim;
  const auto first =
      ops::narrow(context, latents, 1, 0, 1).reshape({films, latents.dim(2), latents.dim(3), latents.dim(4)});
  const std::span<const nn::Conv2d<float>> convolutions(latents_context_);
  auto map = ops::activate(context, convolutions.front()(context, first), ops::Activation::silu);
  map = ops::interpolate(context, map, detail::i2vgen_context_side, detail::i2vgen_context_side,
                         {.mode = ops::Interpolation::area});
  map = detail::i2vgen_convolved(context, convolutions.subspan(1), std::move(map));
  const auto picture =
      context_embedding_.second(context, context_embedding_.first(context, inputs.image_embeddings));
  return ops::concat<float>(context,
                            std::array{inputs.encoder_hidden_states, map.reshape({films, -1, width}),
                                       picture.reshape({films, -1, width})},
                            1);
}

template <class T>
Tensor<float> I2VGenXLUNet<T>::channels(const ops::Context& context,
                                        const Tensor<float>& image_latents) const {
  const Index films = image_latents.dim(0), frames = image_latents.dim(1), height = image_latents.dim(2),
              width = image_latents.dim(3), own = config_.in_channels;
  const auto projected =
      detail::i2vgen_convolved(context, latents_proj_in_,
                               image_latents.reshape({films * frames, height, width, image_latents.dim(4)}));
  // Along the frames of each pixel.
  auto x = nn::detail::frames_of_pixels(context, projected, films, frames);
  x = encoder_attention_(context, encoder_norm_.template apply<float>(context, x), nullptr, nullptr, &x);
  x = encoder_ff_(context, x, &x);
  return nn::detail::pixels_of_frames(context, x, films).reshape({films, frames, height, width, own});
}

template <class T>
Tensor<float> I2VGenXLUNet<T>::operator()(const ops::Context& context, const Tensor<float>& sample,
                                          std::span<const float> timesteps,
                                          const I2VGenXLInputs& inputs) const {
  check(sample, inputs);
  const auto temb = embedding(context, timesteps, inputs.fps, sample.dim(0));
  return body_(context, ops::concat_channels(context, sample, channels(context, inputs.image_latents)), temb,
               ops::cast<T>(context, tokens(context, inputs)), inputs.free_u);
}

extern template class I2VGenXLUNet<float>;
extern template class I2VGenXLUNet<bfloat16>;

}  // namespace daguerre::models

#pragma once

#include <string>
#include <vector>

#include "daguerre/models/denoisers/detail/film_patches.hpp"
#include "daguerre/models/denoisers/latte_transformer.hpp"
#include "daguerre/nn/ada_norm_single_block-inl.hpp"
#include "daguerre/ops/embedding.hpp"
#include "daguerre/ops/rearrange.hpp"

namespace daguerre::models {
namespace detail {

inline constexpr const char* latte_name = "latte";
/// Of the last norm; the blocks' is the configuration's.
inline constexpr float latte_out_epsilon = 1e-6f;

inline Tensor<float> latte_positions(const LatteTransformerConfig& config, Index height, Index width) {
  return ops::sincos_positions_2d(config.dim(), height, width, config.sample_size / config.patch_size,
                                  static_cast<double>(std::max<Index>(config.sample_size / 64, 1)));
}

/// Of each frame of a film, `[F, dim]`: sines, then cosines.
inline Tensor<float> latte_frame_positions(const ops::Context& context, Index frames, Index dim) {
  return ops::timestep_embedding(context, counted(frames), dim, {.flip_sin_to_cos = false});
}

/// Tokens `[N, outer * inner, C]` as `[N, inner * outer, C]`: frame by frame or place by place, and the other
/// way.
inline Tensor<float> latte_turned(const ops::Context& context, const Tensor<float>& x, Index outer) {
  const Index inner = x.dim(1) / outer;
  return ops::swap_axes(context, x.reshape({x.dim(0), outer, inner, x.dim(2)})).reshape(x.shape());
}

}  // namespace detail

template <class T>
LatteTransformer<T>::LatteTransformer(const LatteTransformerConfig& config, const nn::Loader& loader)
    : config_(config),
      patch_embed_(loader.sub("pos_embed").sub("proj"),
                   checked_multiply(config.in_channels, detail::FilmPatch{1, config.patch_size}.size()),
                   config.dim(), {.window = Shape{config.patch_size, config.patch_size}}),
      adaln_(loader.sub("adaln_single"), config.dim(), false),
      caption_projection_(loader.sub("caption_projection"), config.caption_channels, config.dim(),
                          ops::Activation::gelu_tanh),
      scale_shift_table_(loader.tensor("scale_shift_table", {2, config.dim()}).reshape({2 * config.dim()})),
      proj_out_(loader.sub("proj_out"), config.dim(),
                checked_multiply(detail::FilmPatch{1, config.patch_size}.size(), config.out_channels)) {
  const Index dim = config.dim(), side = config.sample_size / config.patch_size;
  const auto table = loader.sub("pos_embed");  // some files carry the fixed table along
  positions_ = table.scope.contains("pos_embed")
                   ? table.tensor("pos_embed", {1, side * side, dim}).reshape({side * side, dim})
                   : detail::latte_positions(config, side, side);
  nn::AdaNormSingleOptions options{.dim = dim,
                                   .num_attention_heads = config.num_attention_heads,
                                   .attention_head_dim = config.attention_head_dim,
                                   .cross_attention_dim = config.cross_attention_dim,
                                   .attention_bias = config.attention_bias,
                                   .activation_fn = config.activation_fn,
                                   .norm_eps = config.norm_eps};
  for (int i = 0; i < config.num_layers; ++i)
    blocks_.emplace_back(loader.sub("transformer_blocks", i), options);
  options.cross_attention_dim = 0;
  for (int i = 0; i < config.num_layers; ++i)
    temporal_blocks_.emplace_back(loader.sub("temporal_transformer_blocks", i), options);
}

template <class T>
void LatteTransformer<T>::check(const LatteInputs& inputs) const {
  const auto &x = inputs.sample, &states = inputs.encoder_hidden_states;
  const Index side = config_.patch_size;
  if (x.rank() != 5 || x.empty() || x.dim(4) != config_.in_channels || x.dim(2) % side != 0 ||
      x.dim(3) % side != 0)
    throw ArgumentError(detail::latte_name, "sample " + to_string(x.shape()) + ", expected [N, F, H, W, " +
                                                std::to_string(config_.in_channels) + "] with sides that " +
                                                std::to_string(side) + " divides");
  if (states.rank() != 3 || states.empty() || states.dim(0) != x.dim(0) ||
      states.dim(2) != config_.caption_channels)
    throw ArgumentError(detail::latte_name, "encoder_hidden_states " + to_string(states.shape()) +
                                                ", expected [" + std::to_string(x.dim(0)) + ", S, " +
                                                std::to_string(config_.caption_channels) + "]");
}

template <class T>
Tensor<float> LatteTransformer<T>::operator()(const ops::Context& context, const LatteInputs& inputs) const {
  check(inputs);
  const Index patch = config_.patch_size, side = config_.sample_size / patch, dim = config_.dim();
  const Index batch = inputs.sample.dim(0), frames = inputs.sample.dim(1),
              height = inputs.sample.dim(2) / patch, width = inputs.sample.dim(3) / patch,
              length = height * width;
  const auto [modulation, embedding] = adaln_(context, batch, inputs.timesteps, {}, {});
  const auto prompt = caption_projection_(context, ops::cast<T>(context, inputs.encoder_hidden_states));

  auto x = patch_embed_(context, detail::film_to_tokens(context, inputs.sample, {1, patch}));
  x = ops::add_to_each(
          context, x.reshape({batch * frames, length, dim}),
          height == side && width == side ? positions_ : detail::latte_positions(config_, height, width))
          .reshape({batch, frames * length, dim});
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    x = blocks_[i](context, x, modulation, &prompt, nullptr, frames);
    if (!inputs.temporal_attentions) continue;
    x = detail::latte_turned(context, x, frames);
    if (i == 0 && frames > 1)
      x = ops::add_to_each(context, x.reshape({batch * length, frames, dim}),
                           detail::latte_frame_positions(context, frames, dim))
              .reshape(x.shape());
    x = temporal_blocks_[i](context, x, modulation, nullptr, nullptr, length);
    x = detail::latte_turned(context, x, length);
  }

  const auto last = ops::add_to_each(context, ops::concat_channels(context, embedding, embedding),
                                     scale_shift_table_);  // (shift, scale)
  const auto tokens = proj_out_(
      context, ops::modulated_layer_norm<float>(context, x, {last, 1}, {last, 0}, detail::latte_out_epsilon));
  return ops::unpatchify(context, tokens.reshape({batch * frames, length, tokens.dim(2)}), height, width,
                         patch)
      .reshape({batch, frames, height * patch, width * patch, config_.out_channels});
}

extern template class LatteTransformer<float>;
extern template class LatteTransformer<bfloat16>;

}  // namespace daguerre::models

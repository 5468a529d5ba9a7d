#pragma once

#include <string>

#include "daguerre/models/denoisers/pixart_transformer.hpp"
#include "daguerre/nn/ada_norm_single_block-inl.hpp"
#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/rearrange.hpp"

namespace daguerre::models {
namespace detail {

/// Of the last norm; the blocks' is the configuration's.
inline constexpr float pixart_out_epsilon = 1e-6f;

inline Tensor<float> pixart_positions(const PixArtTransformerConfig& config, Index height, Index width) {
  return ops::sincos_positions_2d(config.dim(), height, width, config.sample_size / config.patch_size,
                                  config.interpolation_scale);
}

}  // namespace detail

template <class T>
PixArtTransformer<T>::PixArtTransformer(const PixArtTransformerConfig& config, const nn::Loader& loader)
    : config_(config),
      patch_embed_(loader.sub("pos_embed").sub("proj"), config.in_channels, config.dim(), config.patch_size,
                   ops::ConvGeometry::same(0, static_cast<int>(config.patch_size))),
      adaln_(loader.sub("adaln_single"), config.dim(), config.use_additional_conditions),
      caption_projection_(loader.sub("caption_projection"), config.caption_channels, config.dim(),
                          ops::Activation::gelu_tanh),
      scale_shift_table_(loader.tensor("scale_shift_table", {2, config.dim()}).reshape({2 * config.dim()})),
      proj_out_(loader.sub("proj_out"), config.dim(),
                checked_multiply(config.patch_size * config.patch_size, config.out_channels)) {
  const Index dim = config.dim(), side = config.sample_size / config.patch_size;
  const auto table = loader.sub("pos_embed");  // some files carry the fixed table along
  positions_ = table.scope.contains("pos_embed")
                   ? table.tensor("pos_embed", {1, side * side, dim}).reshape({side * side, dim})
                   : detail::pixart_positions(config, side, side);
  for (int i = 0; i < config.num_layers; ++i)
    blocks_.emplace_back(loader.sub("transformer_blocks", i),
                         nn::AdaNormSingleOptions{.dim = dim,
                                                  .num_attention_heads = config.num_attention_heads,
                                                  .attention_head_dim = config.attention_head_dim,
                                                  .cross_attention_dim = config.cross_attention_dim,
                                                  .attention_bias = config.attention_bias,
                                                  .activation_fn = config.activation_fn,
                                                  .norm_eps = config.norm_eps});
}

template <class T>
void PixArtTransformer<T>::check(const PixArtInputs& inputs) const {
  const auto &sample = inputs.sample, &states = inputs.encoder_hidden_states,
             &mask = inputs.encoder_attention_mask;
  const Index patch = config_.patch_size;
  if (sample.rank() != 4 || sample.dim(3) != config_.in_channels || sample.empty() ||
      sample.dim(1) % patch != 0 || sample.dim(2) % patch != 0)
    throw ArgumentError("pixart", "sample " + to_string(sample.shape()) + ", expected [N, H, W, " +
                                      std::to_string(config_.in_channels) + "] with sides that " +
                                      std::to_string(patch) + " divides");
  if (states.rank() != 3 || states.dim(0) != sample.dim(0) || states.dim(2) != config_.caption_channels)
    throw ArgumentError("pixart", "encoder_hidden_states " + to_string(states.shape()) + ", expected [" +
                                      std::to_string(sample.dim(0)) + ", S, " +
                                      std::to_string(config_.caption_channels) + "]");
  if (!mask.empty() && !(mask.shape() == Shape{states.dim(0), states.dim(1)}))
    throw ArgumentError("pixart", "a mask " + to_string(mask.shape()) + " for encoder_hidden_states " +
                                      to_string(states.shape()));
}

template <class T>
Tensor<float> PixArtTransformer<T>::operator()(const ops::Context& context,
                                               const PixArtInputs& inputs) const {
  check(inputs);
  const Index patch = config_.patch_size, side = config_.sample_size / patch, dim = config_.dim();
  const Index batch = inputs.sample.dim(0), height = inputs.sample.dim(1) / patch,
              width = inputs.sample.dim(2) / patch;
  const auto [steering, embedding] =
      adaln_(context, batch, inputs.timesteps, inputs.resolution, inputs.aspect_ratio);
  const auto prompt = caption_projection_(context, ops::cast<T>(context, inputs.encoder_hidden_states));
  constexpr float hidden = -10000.0f;  // what the reference adds to the logits of masked tokens
  Tensor<float> key_bias;
  if (!inputs.encoder_attention_mask.empty())
    key_bias = ops::affine(context, inputs.encoder_attention_mask, -hidden, hidden);

  auto x = patch_embed_(context, inputs.sample).reshape({batch, height * width, dim});
  x = ops::add_to_each(
      context, x,
      height == side && width == side ? positions_ : detail::pixart_positions(config_, height, width));
  for (const auto& block : blocks_)
    x = block(context, x, steering, &prompt, key_bias.empty() ? nullptr : &key_bias);

  const auto modulation = ops::add_to_each(context, ops::concat_channels(context, embedding, embedding),
                                           scale_shift_table_);  // (shift, scale)
  const auto tokens =
      proj_out_(context, ops::modulated_layer_norm<float>(context, x, {modulation, 1}, {modulation, 0},
                                                          detail::pixart_out_epsilon));
  return ops::unpatchify(context, tokens, height, width, patch);
}

extern template class PixArtTransformer<float>;
extern template class PixArtTransformer<bfloat16>;

}  // namespace daguerre::models

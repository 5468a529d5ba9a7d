#pragma once

#include <array>
#include <cmath>
#include <string>
#include <utility>

#include "daguerre/models/denoisers/ltx_transformer.hpp"
#include "daguerre/nn/ada_norm-inl.hpp"
#include "daguerre/nn/joint_attention-inl.hpp"
#include "daguerre/nn/token_timesteps.hpp"
#include "daguerre/nn/transformer-inl.hpp"
#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/interleaved_rotary.hpp"
#include "daguerre/ops/modulation-inl.hpp"
#include "daguerre/ops/rearrange-inl.hpp"

namespace daguerre::models {
namespace detail {

inline constexpr float ltx_theta = 10000.0f;
/// Of the last norm, and of queries' and keys'; the blocks' is the configuration's.
inline constexpr float ltx_out_epsilon = 1e-6f, ltx_qk_epsilon = 1e-5f;

/// What the rotary embedding was laid out for: seconds, rows and columns.
inline constexpr std::array<float, 3> ltx_extents{20.0f, 2048.0f, 2048.0f};

}  // namespace detail

template <class T>
LTXTransformer<T>::LTXTransformer(const LTXTransformerConfig& config, const nn::Loader& loader)
    : config_(config),
      engine_(loader.context.engine),
      proj_in_(loader.sub("proj_in"), config.in_channels, config.dim()),
      time_embed_(loader.sub("time_embed"), config.dim(), false),
      caption_projection_(loader.sub("caption_projection"), config.caption_channels, config.dim(),
                          ops::Activation::gelu_tanh),
      scale_shift_table_(loader.tensor("scale_shift_table", {2, config.dim()}).reshape({2 * config.dim()})),
      proj_out_(loader.sub("proj_out"), config.dim(), config.out_channels) {
  const Index dim = config.dim();
  constexpr Index parts = nn::AdaLayerNormSingle<T>::parts;
  // Norm and rotation go over all heads of a token, as if they were one.
  const auto across = nn::query_key_norm_called("rms_norm", true, detail::ltx_qk_epsilon);
  const typename nn::QkvProjection<T>::Options self{
      .dim = dim, .heads = 1, .head_dim = dim, .bias = config.attention_bias, .qk_norm = across};
  const nn::AttentionOptions cross{
      .query_dim = dim,
      .cross_attention_dim = config.cross_attention_dim,
      .heads = config.num_attention_heads,
      .head_dim = config.attention_head_dim,
      .bias = config.attention_bias,
      .out_bias = config.attention_out_bias,
      .qk_norm = nn::query_key_norm_called("rms_norm_across_heads", true, detail::ltx_qk_epsilon)};
  for (int i = 0; i < config.num_layers; ++i) {
    const auto block = loader.sub("transformer_blocks", i);
    const auto attn1 = block.sub("attn1");
    blocks_.push_back({block.tensor("scale_shift_table", {parts, dim}).reshape({parts * dim}),
                       nn::QkvProjection<T>(attn1, self),
                       nn::Linear<T>(attn1.sub("to_out", 0), dim, dim, {.bias = config.attention_out_bias}),
                       nn::Attention<T>(block.sub("attn2"), cross),
                       nn::FeedForward<T>(block.sub("ff"), dim, config.activation_fn)});
  }
}

template <class T>
typename LTXTransformer<T>::Steering LTXTransformer<T>::steering(const ops::Context& context,
                                                                 const LTXInputs& inputs) const {
  const auto& x = inputs.hidden_states;
  auto timesteps = nn::TokenTimesteps::of(inputs.timesteps, x.dim(0), x.dim(1), "ltx");
  auto steering = time_embed_(context, static_cast<Index>(timesteps.times.size()), timesteps.times, {}, {});
  return {std::move(steering.modulation), std::move(steering.embedding), std::move(timesteps.rows)};
}

template <class T>
Tensor<float> LTXTransformer<T>::run(const ops::Context& context, const Block& block, const Tensor<float>& x,
                                     const Steering& steering, const ops::RotaryTable& rotation,
                                     const Tensor<T>& prompt, const Tensor<float>* key_bias) const {
  using Norm = nn::AdaLayerNormSingle<T>;
  using View = ops::TokenView<T>;
  context.check_stop();
  const auto modulation = ops::add_to_each(context, steering.modulation, block.scale_shift_table);
  const auto part = [&](int index) { return ops::ChannelChunk{modulation, index, steering.rows}; };
  Tensor<float> y;
  {
    const auto normed = ops::modulated_rms_norm<T>(context, x, part(Norm::scale_msa), part(Norm::shift_msa),
                                                   config_.norm_eps);
    const auto qkv = block.qkv(context, normed);
    const auto turned = [&](const ops::HeadStream<T>& stream) {
      return ops::join_heads<T>(context, std::array{stream}, config_.dim(), &rotation);
    };
    const auto query = turned(block.qkv.queries(qkv)), key = turned(block.qkv.keys(qkv));
    ops::AttentionArguments<T> arguments;
    arguments.query = View::all(query);
    arguments.key = View::all(key);
    arguments.value = block.qkv.values(qkv).tokens;
    arguments.heads = config_.num_attention_heads;
    arguments.scale = 1.0f / std::sqrt(static_cast<float>(config_.attention_head_dim));
    const auto found = nn::attend(context, *engine_, arguments);
    y = ops::add_gated(context, x, part(Norm::gate_msa), block.to_out.accumulate(context, found));
  }
  y = block.attn2(context, ops::cast<T>(context, y), &prompt, key_bias, &y);  // without a norm
  const auto inner =
      ops::modulated_rms_norm<T>(context, y, part(Norm::scale_mlp), part(Norm::shift_mlp), config_.norm_eps);
  return ops::add_gated(context, y, part(Norm::gate_mlp), block.feed_forward(context, inner));
}

template <class T>
void LTXTransformer<T>::check(const LTXInputs& inputs) const {
  constexpr const char* who = "ltx";
  const auto &x = inputs.hidden_states, &positions = inputs.positions, &states = inputs.encoder_hidden_states,
             &mask = inputs.encoder_attention_mask;
  if (x.rank() != 3 || x.dim(2) != config_.in_channels || x.empty())
    throw ArgumentError(who, "hidden_states " + to_string(x.shape()) + ", expected [N, L, " +
                                 std::to_string(config_.in_channels) + "]");
  const Index batch = x.dim(0), length = x.dim(1);
  if (!(positions.shape() == Shape{length, 3}))
    throw ArgumentError(who, "positions " + to_string(positions.shape()) + " for " + std::to_string(length) +
                                 " tokens, expected one of three numbers for each");
  if (states.rank() != 3 || states.dim(0) != batch || states.dim(2) != config_.caption_channels ||
      states.empty())
    throw ArgumentError(who, "encoder_hidden_states " + to_string(states.shape()) + ", expected [" +
                                 std::to_string(batch) + ", S, " + std::to_string(config_.caption_channels) +
                                 "]");
  if (!mask.empty() && !(mask.shape() == Shape{states.dim(0), states.dim(1)}))
    throw ArgumentError(
        who, "a mask " + to_string(mask.shape()) + " for encoder_hidden_states " + to_string(states.shape()));
}

template <class T>
Tensor<float> LTXTransformer<T>::operator()(const ops::Context& context, const LTXInputs& inputs) const {
  check(inputs);
  const auto steered = steering(context, inputs);
  const auto rotation =
      ops::interleaved_rotary_table(inputs.positions, detail::ltx_extents, config_.dim(), detail::ltx_theta);
  const auto prompt = caption_projection_(context, ops::cast<T>(context, inputs.encoder_hidden_states));
  constexpr float hidden = -10000.0f;  // what the reference adds to the logits of masked tokens
  Tensor<float> key_bias;
  if (!inputs.encoder_attention_mask.empty())
    key_bias = ops::affine(context, inputs.encoder_attention_mask, -hidden, hidden);

  auto x = proj_in_(context, inputs.hidden_states);
  for (const auto& block : blocks_)
    x = run(context, block, x, steered, rotation, prompt, key_bias.empty() ? nullptr : &key_bias);

  const auto& embedding = steered.embedding;
  const auto modulation = ops::add_to_each(context, ops::concat_channels(context, embedding, embedding),
                                           scale_shift_table_);  // (shift, scale)
  return proj_out_(context,
                   ops::modulated_layer_norm<float>(context, x, {modulation, 1, steered.rows},
                                                    {modulation, 0, steered.rows}, detail::ltx_out_epsilon));
}

extern template class LTXTransformer<float>;
extern template class LTXTransformer<bfloat16>;

}  // namespace daguerre::models

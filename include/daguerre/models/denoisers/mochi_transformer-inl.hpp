#pragma once

#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "daguerre/models/denoisers/detail/film_patches.hpp"
#include "daguerre/models/denoisers/detail/prompt_length.hpp"
#include "daguerre/models/denoisers/mochi_transformer.hpp"
#include "daguerre/nn/joint_transformer-inl.hpp"
#include "daguerre/ops/embedding.hpp"

namespace daguerre::models {
namespace detail {

inline constexpr const char* mochi_name = "mochi";
inline constexpr float mochi_epsilon = 1e-6f;
/// Of the norm behind the feed-forward network: the reference's 1e-56 is 0 in float32.
inline constexpr float mochi_last_epsilon = 0.0f;
/// Parts of the modulation of tokens that go on, and of those that are only looked at.
enum MochiPart { mochi_scale_msa, mochi_gate_msa, mochi_scale_mlp, mochi_gate_mlp, mochi_parts };
inline constexpr int mochi_looked_parts = 1;
/// The side of the square of patches at which positions are one apart.
inline constexpr double mochi_base_side = 192.0;

/// Width inside a gated feed-forward network for tokens of `dim`.
inline Index mochi_inner(Index dim) {
  return checked_multiply(dim, 8) / 3;
}

template <class T>
nn::JointAttention<T> mochi_attention(const nn::Loader& loader, const MochiTransformerConfig& config,
                                      bool context_pre_only) {
  return {loader,
          {.qkv = {.dim = config.dim(),
                   .heads = config.num_attention_heads,
                   .head_dim = config.attention_head_dim,
                   .bias = false,
                   .qk_norm = nn::query_key_norm_called("rms_norm", true, 1e-5f)},
           .prompt_dim = config.pooled_projection_dim,
           .context_pre_only = context_pre_only}};
}

/// Part `index` of one film's modulation, `[C]`.
inline Tensor<float> mochi_part(const ops::Context& context, const Tensor<float>& modulation, int index,
                                Index channels) {
  return ops::narrow(context, modulation, -1, index * channels, channels).reshape({channels});
}

/// norm(x) * (1 + scale), rounded to T.
template <class T>
Tensor<T> mochi_normed(const ops::Context& context, const Tensor<float>& x, const Tensor<float>& modulation,
                       int scale) {
  const auto gamma = ops::affine(context, mochi_part(context, modulation, scale, x.dim(-1)), 1.0f, 1.0f);
  return ops::rms_norm<T>(context, x, gamma, mochi_epsilon);
}

/// x + norm(y) * tanh(gate).
inline Tensor<float> mochi_added(const ops::Context& context, const Tensor<float>& x, const Tensor<float>& y,
                                 const Tensor<float>& modulation, int gate, float epsilon) {
  const auto gamma = ops::hyperbolic_tangent(context, mochi_part(context, modulation, gate, x.dim(-1)));
  return ops::add(context, x, ops::rms_norm<float>(context, y, gamma, epsilon));
}

/// Tokens behind the attention and the feed-forward network.
template <class T>
Tensor<float> mochi_finished(const ops::Context& context, const Tensor<float>& x,
                             const Tensor<float>& attended, const Tensor<float>& modulation,
                             const nn::FeedForward<T>& feed_forward) {
  const auto y = mochi_added(context, x, attended, modulation, mochi_gate_msa, mochi_epsilon);
  const auto inner = feed_forward(context, mochi_normed<T>(context, y, modulation, mochi_scale_mlp));
  return mochi_added(context, y, inner, modulation, mochi_gate_mlp, mochi_last_epsilon);
}

/// Where `count` patches of a side are: around 0, `scale` apart.
inline std::vector<float> mochi_centers(Index count, double scale) {
  std::vector<float> result;
  for (Index i = 0; i < count; ++i)
    result.push_back(
        static_cast<float>(scale * (static_cast<double>(i) + 0.5 - static_cast<double>(count) / 2.0)));
  return result;
}

}  // namespace detail

template <class T>
MochiTransformerBlock<T>::MochiTransformerBlock(const nn::Loader& loader,
                                                const MochiTransformerConfig& config, bool context_pre_only)
    : norm1_(loader.sub("norm1").sub("linear"), config.dim(), config.dim(), detail::mochi_parts),
      norm1_context_(loader.sub("norm1_context").sub(context_pre_only ? "linear_1" : "linear"), config.dim(),
                     config.pooled_projection_dim,
                     context_pre_only ? detail::mochi_looked_parts : detail::mochi_parts),
      attn1_(detail::mochi_attention<T>(loader.sub("attn1"), config, context_pre_only)),
      ff_(loader.sub("ff"), config.dim(),
          typename nn::FeedForward<T>::Options{config.activation_fn, detail::mochi_inner(config.dim()),
                                               false}) {
  if (!context_pre_only)
    ff_context_.emplace(loader.sub("ff_context"), config.pooled_projection_dim,
                        typename nn::FeedForward<T>::Options{
                            config.activation_fn, detail::mochi_inner(config.pooled_projection_dim), false});
}

template <class T>
nn::JointTokens MochiTransformerBlock<T>::operator()(const ops::Context& context, const nn::JointTokens& x,
                                                     const Tensor<float>& embedding,
                                                     const ops::RotaryTable& rotation) const {
  context.check_stop();
  const auto modulation = norm1_(context, embedding);
  const auto picture = detail::mochi_normed<T>(context, x.picture, modulation, detail::mochi_scale_msa);
  if (x.prompt.empty()) {  // all of it was masked
    const auto attended = attn1_(context, picture, context.empty<T>(x.prompt.shape()), &rotation);
    return {detail::mochi_finished(context, x.picture, attended.picture, modulation, ff_), x.prompt};
  }
  const auto prompt_modulation = norm1_context_(context, embedding);
  const auto attended = attn1_(
      context, picture,
      detail::mochi_normed<T>(context, x.prompt, prompt_modulation, detail::mochi_scale_msa), &rotation);
  nn::JointTokens result;
  result.picture = detail::mochi_finished(context, x.picture, attended.picture, modulation, ff_);
  if (ff_context_)
    result.prompt =
        detail::mochi_finished(context, x.prompt, attended.prompt, prompt_modulation, *ff_context_);
  return result;
}

template <class T>
MochiTransformer<T>::MochiTransformer(const MochiTransformerConfig& config, const nn::Loader& loader)
    : config_(config),
      patch_embed_(loader.sub("patch_embed").sub("proj"),
                   checked_multiply(config.in_channels, detail::FilmPatch{1, config.patch_size}.size()),
                   config.dim(), {.window = Shape{config.patch_size, config.patch_size}}),
      timestep_embedder_(loader.sub("time_embed").sub("timestep_embedder"), config.time_embed_dim,
                         config.dim()),
      pooler_(loader.sub("time_embed").sub("pooler"), config.text_embed_dim, config.dim()),
      caption_proj_(loader.sub("time_embed").sub("caption_proj"), config.text_embed_dim,
                    config.pooled_projection_dim),
      pos_frequencies_(
          loader.tensor("pos_frequencies", {3, config.num_attention_heads, config.attention_head_dim / 2})
              .reshape({3, -1})),
      norm_out_(loader.sub("norm_out"), config.dim(), config.dim()),
      proj_out_(loader.sub("proj_out"), config.dim(),
                checked_multiply(config.out_channels, detail::FilmPatch{1, config.patch_size}.size())) {
  for (int i = 0; i < config.num_layers; ++i)
    blocks_.emplace_back(loader.sub("transformer_blocks", i), config, i + 1 == config.num_layers);
}

template <class T>
void MochiTransformer<T>::check(const MochiInputs& inputs) const {
  const auto &x = inputs.sample, &states = inputs.encoder_hidden_states,
             &mask = inputs.encoder_attention_mask;
  const char* who = detail::mochi_name;
  const Index side = config_.patch_size;
  if (x.rank() != 5 || x.empty() || x.dim(4) != config_.in_channels || x.dim(2) % side != 0 ||
      x.dim(3) % side != 0)
    throw ArgumentError(who, "sample " + to_string(x.shape()) + ", expected [N, F, H, W, " +
                                 std::to_string(config_.in_channels) + "] with sides that " +
                                 std::to_string(side) + " divides");
  if (states.rank() != 3 || states.empty() || states.dim(0) != x.dim(0) ||
      states.dim(2) != config_.text_embed_dim)
    throw ArgumentError(who, "encoder_hidden_states " + to_string(states.shape()) + ", expected [" +
                                 std::to_string(x.dim(0)) + ", S, " + std::to_string(config_.text_embed_dim) +
                                 "]");
  if (!mask.empty() && !(mask.shape() == Shape{states.dim(0), states.dim(1)}))
    throw ArgumentError(
        who, "a mask " + to_string(mask.shape()) + " for encoder_hidden_states " + to_string(states.shape()));
  if (inputs.timesteps.size() != 1 && static_cast<Index>(inputs.timesteps.size()) != x.dim(0))
    throw ArgumentError(who, std::to_string(inputs.timesteps.size()) + " timesteps for " +
                                 std::to_string(x.dim(0)) + " films");
}

template <class T>
Tensor<float> MochiTransformer<T>::operator()(const ops::Context& context, const MochiInputs& inputs) const {
  check(inputs);
  std::vector<Tensor<float>> films;  // one by one, since prompts have lengths of their own
  for (Index n = 0; n < inputs.sample.dim(0); ++n) {
    const auto states = inputs.encoder_hidden_states.slice(n, n + 1);
    const auto mask =
        inputs.encoder_attention_mask.empty() ? Tensor<float>() : inputs.encoder_attention_mask[n];
    const Index length = detail::prompt_length(mask, states.dim(1), detail::mochi_name, 0);
    const auto place = inputs.timesteps.size() == 1 ? 0 : static_cast<std::size_t>(n);
    films.push_back(run(context, inputs.sample.slice(n, n + 1), inputs.timesteps.subspan(place, 1),
                        ops::narrow(context, states, 1, 0, length)));
  }
  return ops::concat<float>(context, films, 0);
}

template <class T>
Tensor<float> MochiTransformer<T>::run(const ops::Context& context, const Tensor<float>& sample,
                                       std::span<const float> timestep, const Tensor<float>& states) const {
  const Index patch = config_.patch_size, frames = sample.dim(1), rows = sample.dim(2) / patch,
              columns = sample.dim(3) / patch;
  const auto time =
      timestep_embedder_(context, ops::timestep_embedding(context, timestep, config_.time_embed_dim));
  const auto embedding = ops::add(context, time, pooler_(context, states));
  nn::JointTokens x{patch_embed_(context, detail::film_to_tokens(context, sample, {1, patch})),
                    states.empty() ? context.empty<float>({1, 0, config_.pooled_projection_dim})
                                   : caption_proj_.accumulate(context, ops::cast<T>(context, states))};
  const double scale = detail::mochi_base_side / std::sqrt(static_cast<double>(rows * columns));
  const auto positions = ops::grid_positions(std::array{
      detail::counted(frames), detail::mochi_centers(rows, scale), detail::mochi_centers(columns, scale)});
  const auto prompt = Tensor<float>::zeros({x.prompt.dim(1), positions.dim(1)});  // is not turned
  const auto rotation =
      ops::learned_rotary_table(concat_leading<float>(std::array{prompt, positions}), pos_frequencies_);
  for (const auto& block : blocks_) x = block(context, x, embedding, rotation);
  const auto tokens = proj_out_(context, norm_out_(context, x.picture, embedding));
  return ops::unpatchify(context, tokens.reshape({frames, rows * columns, tokens.dim(2)}), rows, columns,
                         patch)
      .reshape({1, frames, rows * patch, columns * patch, config_.out_channels});
}

extern template class MochiTransformerBlock<float>;
extern template class MochiTransformerBlock<bfloat16>;
extern template class MochiTransformer<float>;
extern template class MochiTransformer<bfloat16>;

}  // namespace daguerre::models

#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "daguerre/models/denoisers/detail/film_patches.hpp"
#include "daguerre/models/denoisers/detail/prompt_length.hpp"
#include "daguerre/models/denoisers/hunyuan_token_refiner-inl.hpp"
#include "daguerre/models/denoisers/hunyuan_video_transformer.hpp"
#include "daguerre/nn/joint_transformer-inl.hpp"

namespace daguerre::models {
namespace detail {

inline constexpr const char* hunyuan_video_name = "hunyuan_video";

/// The rows of an embedding that tokens read: of a prompt and of all frames but the first one row 0, of the
/// first frame row 1.
inline std::vector<std::int32_t> hunyuan_rows(Index prompt, Index first_frame, Index others) {
  std::vector<std::int32_t> rows(static_cast<std::size_t>(prompt + first_frame + others), 0);
  std::fill_n(rows.begin() + prompt, first_frame, 1);
  return rows;
}

}  // namespace detail

template <class T>
HunyuanVideoTransformer<T>::HunyuanVideoTransformer(const HunyuanVideoTransformerConfig& config,
                                                    const nn::Loader& loader)
    : config_(config),
      x_embedder_(loader.sub("x_embedder").sub("proj"),
                  checked_multiply(config.in_channels,
                                   detail::FilmPatch{config.patch_size_t, config.patch_size}.size()),
                  config.dim(), {.window = Shape{config.patch_size_t, config.patch_size, config.patch_size}}),
      context_embedder_(loader.sub("context_embedder"), {.text_dim = config.text_embed_dim,
                                                         .num_attention_heads = config.num_attention_heads,
                                                         .attention_head_dim = config.attention_head_dim,
                                                         .num_layers = config.num_refiner_layers}),
      embedding_(loader.sub("time_text_embed"), {.dim = config.dim(),
                                                 .pooled_dim = config.pooled_projection_dim,
                                                 .embeds_guidance = config.guidance_embeds}),
      norm_out_(loader.sub("norm_out"), config.dim(), config.dim()),
      proj_out_(loader.sub("proj_out"), config.dim(),
                checked_multiply(config.out_channels,
                                 detail::FilmPatch{config.patch_size_t, config.patch_size}.size())) {
  const auto qk_norm = nn::query_key_norm_called("rms_norm", true, 1e-6f);
  for (int i = 0; i < config.num_layers; ++i)
    blocks_.emplace_back(loader.sub("transformer_blocks", i),
                         nn::JointTransformerOptions{.dim = config.dim(),
                                                     .num_attention_heads = config.num_attention_heads,
                                                     .attention_head_dim = config.attention_head_dim,
                                                     .mlp_dim = config.mlp_dim(),
                                                     .qk_norm = qk_norm});
  for (int i = 0; i < config.num_single_layers; ++i)
    single_blocks_.emplace_back(
        loader.sub("single_transformer_blocks", i),
        typename nn::SingleTransformerBlock<T>::Options{.dim = config.dim(),
                                                        .num_attention_heads = config.num_attention_heads,
                                                        .attention_head_dim = config.attention_head_dim,
                                                        .mlp_dim = config.mlp_dim(),
                                                        .qk_norm = qk_norm});
}

template <class T>
void HunyuanVideoTransformer<T>::check(const HunyuanVideoInputs& inputs) const {
  const auto &x = inputs.sample, &states = inputs.encoder_hidden_states,
             &mask = inputs.encoder_attention_mask, &pooled = inputs.pooled;
  const char* who = detail::hunyuan_video_name;
  const Index side = config_.patch_size;
  if (x.rank() != 5 || x.empty() || x.dim(4) != config_.in_channels || x.dim(1) % config_.patch_size_t != 0 ||
      x.dim(2) % side != 0 || x.dim(3) % side != 0)
    throw ArgumentError(who, "sample " + to_string(x.shape()) + ", expected [N, F, H, W, " +
                                 std::to_string(config_.in_channels) + "] with frames that " +
                                 std::to_string(config_.patch_size_t) + " and sides that " +
                                 std::to_string(side) + " divides");
  if (states.rank() != 3 || states.empty() || states.dim(0) != x.dim(0) ||
      states.dim(2) != config_.text_embed_dim)
    throw ArgumentError(who, "encoder_hidden_states " + to_string(states.shape()) + ", expected [" +
                                 std::to_string(x.dim(0)) + ", S, " + std::to_string(config_.text_embed_dim) +
                                 "]");
  if (!mask.empty() && !(mask.shape() == Shape{states.dim(0), states.dim(1)}))
    throw ArgumentError(
        who, "a mask " + to_string(mask.shape()) + " for encoder_hidden_states " + to_string(states.shape()));
  if (!(pooled.shape() == Shape{x.dim(0), config_.pooled_projection_dim}))
    throw ArgumentError(who, "pooled prompt " + to_string(pooled.shape()) + ", expected " +
                                 to_string(Shape{x.dim(0), config_.pooled_projection_dim}));
  const auto fits = [&](std::span<const float> values) {
    return values.size() == 1 || static_cast<Index>(values.size()) == x.dim(0);
  };
  if (!fits(inputs.timesteps) ||
      (config_.guidance_embeds ? !fits(inputs.guidance) : !inputs.guidance.empty()))
    throw ArgumentError(who, std::to_string(inputs.timesteps.size()) + " timesteps and " +
                                 std::to_string(inputs.guidance.size()) + " guidance scales for " +
                                 std::to_string(x.dim(0)) + " films" +
                                 (config_.guidance_embeds ? "" : "; this network reads no guidance scale"));
}

template <class T>
Tensor<float> HunyuanVideoTransformer<T>::operator()(const ops::Context& context,
                                                     const HunyuanVideoInputs& inputs) const {
  check(inputs);
  std::vector<Tensor<float>> films;  // one by one, since prompts have lengths of their own
  for (Index n = 0; n < inputs.sample.dim(0); ++n) {
    const auto value_of = [&](std::span<const float> values) {
      return values.size() <= 1 ? values : values.subspan(static_cast<std::size_t>(n), 1);
    };
    const auto states = inputs.encoder_hidden_states.slice(n, n + 1);
    const auto mask =
        inputs.encoder_attention_mask.empty() ? Tensor<float>() : inputs.encoder_attention_mask[n];
    const Index length = detail::prompt_length(mask, states.dim(1), detail::hunyuan_video_name);
    films.push_back(run(context, {.sample = inputs.sample.slice(n, n + 1),
                                  .timesteps = value_of(inputs.timesteps),
                                  .encoder_hidden_states = ops::narrow(context, states, 1, 0, length),
                                  .encoder_attention_mask = {},
                                  .pooled = inputs.pooled.slice(n, n + 1),
                                  .guidance = value_of(inputs.guidance)}));
  }
  return ops::concat<float>(context, films, 0);
}

template <class T>
Tensor<float> HunyuanVideoTransformer<T>::run(const ops::Context& context,
                                              const HunyuanVideoInputs& inputs) const {
  const detail::FilmPatch patch{config_.patch_size_t, config_.patch_size};
  const Index frames = inputs.sample.dim(1), height = inputs.sample.dim(2), width = inputs.sample.dim(3);
  const Index rows = height / patch.side, columns = width / patch.side;

  const auto embedding = embedding_(context, inputs.timesteps, inputs.guidance, inputs.pooled);
  nn::JointTokens x{x_embedder_(context, detail::film_to_tokens(context, inputs.sample, patch)),
                    context_embedder_(context, inputs.encoder_hidden_states, inputs.timesteps)};
  const Index prompt = x.prompt.dim(1), film = x.picture.dim(1);
  const auto positions = ops::grid_positions(std::array{frames / patch.frames, rows, columns});
  const auto rotation = ops::rotary_table(
      concat_leading<float>(std::array{Tensor<float>::zeros({prompt, positions.dim(1)}), positions}),
      config_.rope_axes_dim, config_.rope_theta);

  nn::Steering of_film{embedding}, of_all{embedding};
  if (config_.image_condition == HunyuanVideoTransformerConfig::ImageCondition::token_replace) {
    const float start = 0.0f;
    const auto given = embedding_.without_guidance(context, std::span(&start, 1), inputs.pooled);
    const auto both = ops::concat<float>(context, std::array{embedding, given}, 0);
    const Index first = rows * columns, others = film - first;
    of_film = {both, detail::hunyuan_rows(0, first, others)};
    of_all = {both, detail::hunyuan_rows(prompt, first, others)};
  }
  for (const auto& block : blocks_) x = block(context, x, embedding, &rotation, &of_film);
  auto tokens = ops::concat<float>(context, std::array{x.prompt, x.picture}, 1);
  x = {};
  for (const auto& block : single_blocks_) tokens = block(context, tokens, of_all, &rotation);
  const auto output =
      proj_out_(context, norm_out_(context, ops::narrow(context, tokens, 1, prompt, film), embedding));
  return detail::tokens_to_film(context, output, {frames, height, width}, patch);
}

extern template class HunyuanVideoTransformer<float>;
extern template class HunyuanVideoTransformer<bfloat16>;

}  // namespace daguerre::models

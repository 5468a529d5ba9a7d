#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "daguerre/models/denoisers/flux_transformer.hpp"
#include "daguerre/nn/joint_transformer-inl.hpp"

namespace daguerre::models {
namespace detail {

inline constexpr double flux_theta = 10000.0;

/// Times in [0, 1] as the sinusoid takes them.
inline std::vector<float> flux_thousandths(std::span<const float> values) {
  std::vector<float> result;
  for (const float value : values) result.push_back(value * 1000.0f);
  return result;
}

inline void check_flux_features(const TransformerFeatures& features, std::size_t blocks,
                                std::size_t single_blocks) {
  if (features.residuals.size() > blocks || features.single_residuals.size() > single_blocks)
    throw ArgumentError("flux", std::to_string(features.residuals.size()) + " and " +
                                    std::to_string(features.single_residuals.size()) + " residuals for " +
                                    std::to_string(blocks) + " and " + std::to_string(single_blocks) +
                                    " blocks");
}

}  // namespace detail

template <class T>
FluxTrunk<T>::FluxTrunk(const FluxTransformerConfig& config, const nn::Loader& loader)
    : config_(config),
      x_embedder_(loader.sub("x_embedder"), config.in_channels, config.dim()),
      context_embedder_(loader.sub("context_embedder"), config.joint_attention_dim, config.dim()),
      embedding_(loader.sub("time_text_embed"), {.dim = config.dim(),
                                                 .pooled_dim = config.pooled_projection_dim,
                                                 .embeds_guidance = config.guidance_embeds}) {
  const Index dim = config.dim();
  const auto qk_norm = nn::query_key_norm_called("rms_norm", true, 1e-6f);
  for (int i = 0; i < config.num_layers; ++i)
    blocks_.emplace_back(loader.sub("transformer_blocks", i),
                         nn::JointTransformerOptions{.dim = dim,
                                                     .num_attention_heads = config.num_attention_heads,
                                                     .attention_head_dim = config.attention_head_dim,
                                                     .qk_norm = qk_norm});
  for (int i = 0; i < config.num_single_layers; ++i)
    single_blocks_.emplace_back(
        loader.sub("single_transformer_blocks", i),
        typename nn::SingleTransformerBlock<T>::Options{.dim = dim,
                                                        .num_attention_heads = config.num_attention_heads,
                                                        .attention_head_dim = config.attention_head_dim,
                                                        .qk_norm = qk_norm});
}

template <class T>
void FluxTrunk<T>::check(const FluxInputs& inputs) const {
  const auto& [x, states, pooled, timesteps, guidance, img_ids, txt_ids] = inputs;
  const auto expect = [](const char* what, const Tensor<float>& found, const Shape& expected) {
    if (!(found.shape() == expected) || found.empty())
      throw ArgumentError(
          "flux", std::string(what) + " " + to_string(found.shape()) + ", expected " + to_string(expected));
  };
  if (x.rank() != 3 || states.rank() != 3)
    throw ArgumentError("flux", "tokens " + to_string(x.shape()) + " and " + to_string(states.shape()) +
                                    ", expected [N, L, C] for each");
  const auto axes = static_cast<Index>(config_.axes_dims_rope.size());
  expect("hidden_states", x, {x.dim(0), x.dim(1), config_.in_channels});
  expect("encoder_hidden_states", states, {x.dim(0), states.dim(1), config_.joint_attention_dim});
  expect("pooled", pooled, {x.dim(0), config_.pooled_projection_dim});
  expect("img_ids", img_ids, {x.dim(1), axes});
  expect("txt_ids", txt_ids, {states.dim(1), axes});
}

template <class T>
typename FluxTrunk<T>::Output FluxTrunk<T>::operator()(const ops::Context& context, const FluxInputs& inputs,
                                                       const FluxBeside& beside) const {
  check(inputs);
  const TransformerFeatures none;
  const auto& features = beside.features == nullptr ? none : *beside.features;
  detail::check_flux_features(features, blocks_.size(), single_blocks_.size());
  auto embedding = embedding_(context, detail::flux_thousandths(inputs.timesteps),
                              detail::flux_thousandths(inputs.guidance), inputs.pooled);
  nn::JointTokens x{
      x_embedder_(context, inputs.hidden_states),
      context_embedder_.accumulate(context, ops::cast<T>(context, inputs.encoder_hidden_states))};
  auto txt_ids = inputs.txt_ids;
  if (!beside.hint.empty()) x.picture = ops::add(context, x.picture, beside.hint);
  if (!beside.mode.empty()) {
    x.prompt = ops::concat<float>(context, std::array{beside.mode, x.prompt}, 1);
    txt_ids = concat_leading<float>(std::array{txt_ids.slice(0, 1), txt_ids});
  }
  const Index prompt_length = x.prompt.dim(1);
  const auto rotation = ops::rotary_table(concat_leading<float>(std::array{txt_ids, inputs.img_ids}),
                                          config_.axes_dims_rope, detail::flux_theta);
  const auto picture_of = [&](const Tensor<float>& tokens) {
    return ops::narrow(context, tokens, 1, prompt_length, tokens.dim(1) - prompt_length);
  };

  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    x = blocks_[i](context, x, embedding, &rotation);
    if (beside.kept != nullptr) beside.kept->residuals.push_back(x.picture);
    if (const auto* residual = features.residual(i, blocks_.size()))
      x.picture = ops::add(context, x.picture, *residual);
  }
  if (single_blocks_.empty()) return {x.picture, std::move(embedding)};
  auto tokens = ops::concat<float>(context, std::array{x.prompt, x.picture}, 1);
  x = {};
  for (std::size_t i = 0; i < single_blocks_.size(); ++i) {
    tokens = single_blocks_[i](context, tokens, {embedding}, &rotation);
    if (beside.kept != nullptr) beside.kept->single_residuals.push_back(picture_of(tokens));
    if (const auto* residual = features.single_residual(i, single_blocks_.size()))
      tokens = ops::concat<float>(context,
                                  std::array{ops::narrow(context, tokens, 1, 0, prompt_length),
                                             ops::add(context, picture_of(tokens), *residual)},
                                  1);
  }
  return {picture_of(tokens), std::move(embedding)};
}

template <class T>
FluxTransformer<T>::FluxTransformer(const FluxTransformerConfig& config, const nn::Loader& loader)
    : config_(config),
      trunk_(config, loader),
      norm_out_(loader.sub("norm_out"), config.dim(), config.dim()),
      proj_out_(loader.sub("proj_out"), config.dim(), config.out_channels) {}

template <class T>
Tensor<float> FluxTransformer<T>::operator()(const ops::Context& context, const FluxInputs& inputs,
                                             const TransformerFeatures* features) const {
  FluxBeside beside;
  beside.features = features;
  const auto output = trunk_(context, inputs, beside);
  return proj_out_(context, norm_out_(context, output.picture, output.embedding));
}

extern template class FluxTrunk<float>;
extern template class FluxTrunk<bfloat16>;
extern template class FluxTransformer<float>;
extern template class FluxTransformer<bfloat16>;

}  // namespace daguerre::models

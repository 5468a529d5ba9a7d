#pragma once

#include <algorithm>
#include <array>
#include <string>

#include "daguerre/models/denoisers/sd3_transformer.hpp"
#include "daguerre/nn/joint_transformer-inl.hpp"

namespace daguerre::models {
namespace detail {

inline Tensor<float> sd3_positions(const SD3TransformerConfig& config, const nn::Loader& loader) {
  const Index size = config.pos_embed_max_size, dim = config.dim();
  // The published files carry the table; it is the sines and cosines that a model was trained with.
  const auto table = loader.scope.contains("pos_embed")
                         ? loader.tensor("pos_embed", {1, size * size, dim})
                         : ops::sincos_positions_2d(dim, size, size, config.sample_size / config.patch_size);
  return table.reshape({size, size, dim});
}

}  // namespace detail

template <class T>
SD3Embedder<T>::SD3Embedder(const SD3TransformerConfig& config, const nn::Loader& loader)
    : config_(config),
      patch_embed_(loader.sub("pos_embed").sub("proj"), config.in_channels, config.dim(), config.patch_size,
                   ops::ConvGeometry::same(0, static_cast<int>(config.patch_size))),
      positions_(detail::sd3_positions(config, loader.sub("pos_embed"))),
      embedding_(loader.sub("time_text_embed"),
                 {.dim = config.dim(), .pooled_dim = config.pooled_projection_dim}),
      context_embedder_(loader.sub("context_embedder"), config.joint_attention_dim, config.dim()) {}

template <class T>
Tensor<float> SD3Embedder<T>::positions(const ops::Context& context, Index height, Index width) const {
  const Index most = config_.pos_embed_max_size, dim = config_.dim();
  if (height > most || width > most)
    throw ArgumentError("sd3", std::to_string(height) + " x " + std::to_string(width) +
                                   " patches, the table of positions has " + std::to_string(most) + " x " +
                                   std::to_string(most));
  const std::array<Index, 3> begin{(most - height) / 2, (most - width) / 2, 0};
  return ops::crop(context, positions_, begin, {height, width, dim}).reshape({height * width, dim});
}

template <class T>
SD3Tokens SD3Embedder<T>::operator()(const ops::Context& context, const Tensor<float>& sample,
                                     std::span<const float> timesteps,
                                     const Tensor<float>& encoder_hidden_states,
                                     const Tensor<float>& pooled) const {
  const Index patch = config_.patch_size;
  if (sample.rank() != 4 || sample.dim(3) != config_.in_channels || sample.empty() ||
      sample.dim(1) % patch != 0 || sample.dim(2) % patch != 0)
    throw ArgumentError("sd3", "sample " + to_string(sample.shape()) + ", expected [N, H, W, " +
                                   std::to_string(config_.in_channels) + "] with sides that " +
                                   std::to_string(patch) + " divides");
  const Index batch = sample.dim(0), height = sample.dim(1) / patch, width = sample.dim(2) / patch;
  const auto& states = encoder_hidden_states;
  if (states.rank() != 3 || states.dim(0) != batch || states.dim(2) != config_.joint_attention_dim ||
      pooled.rank() != 2 || pooled.dim(0) != batch)
    throw ArgumentError("sd3", "a prompt " + to_string(states.shape()) + " and " + to_string(pooled.shape()) +
                                   ", expected [" + std::to_string(batch) + ", S, " +
                                   std::to_string(config_.joint_attention_dim) + "] and [" +
                                   std::to_string(batch) + ", " +
                                   std::to_string(config_.pooled_projection_dim) + "]");

  const auto table = positions(context, height, width);
  const auto patches = patch_embed_(context, sample).reshape({batch, height * width, config_.dim()});
  return {{ops::add_to_each(context, patches, table),
           context_embedder_.accumulate(context, ops::cast<T>(context, states))},
          embedding_(context, timesteps, {}, pooled),
          height,
          width};
}

template <class T>
SD3Transformer<T>::SD3Transformer(const SD3TransformerConfig& config, const nn::Loader& loader)
    : config_(config),
      embedder_(config, loader),
      norm_out_(loader.sub("norm_out"), config.dim(), config.dim()),
      proj_out_(loader.sub("proj_out"), config.dim(),
                checked_multiply(config.patch_size * config.patch_size, config.out_channels)) {
  for (int i = 0; i < config.num_layers; ++i) {
    auto block = config.block(i);
    block.context_pre_only = i + 1 == config.num_layers;
    blocks_.emplace_back(loader.sub("transformer_blocks", i), block);
  }
}

template <class T>
Tensor<float> SD3Transformer<T>::operator()(const ops::Context& context, const Tensor<float>& sample,
                                            std::span<const float> timesteps,
                                            const Tensor<float>& encoder_hidden_states,
                                            const Tensor<float>& pooled,
                                            const TransformerFeatures* features) const {
  auto [x, embedding, height, width] = embedder_(context, sample, timesteps, encoder_hidden_states, pooled);
  const std::size_t residuals = features == nullptr ? 0 : features->residuals.size();
  if (residuals > blocks_.size() || (features != nullptr && !features->single_residuals.empty()))
    throw ArgumentError("sd3", std::to_string(residuals) + " residuals for " +
                                   std::to_string(blocks_.size()) +
                                   " blocks, and none for blocks that picture and prompt share");
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    x = blocks_[i](context, x, embedding);
    const auto* residual = features == nullptr ? nullptr : features->residual(i, blocks_.size());
    if (residual != nullptr && i + 1 < blocks_.size())  // the last only looks at the prompt
      x.picture = ops::add(context, x.picture, *residual);
  }
  const auto tokens = proj_out_(context, norm_out_(context, x.picture, embedding));
  return ops::unpatchify(context, tokens, height, width, config_.patch_size);
}

extern template class SD3Embedder<float>;
extern template class SD3Embedder<bfloat16>;
extern template class SD3Transformer<float>;
extern template class SD3Transformer<bfloat16>;

}  // namespace daguerre::models

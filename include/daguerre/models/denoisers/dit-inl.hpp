#pragma once

#include "daguerre/models/denoisers/dit.hpp"
#include "daguerre/nn/ada_norm-inl.hpp"
#include "daguerre/nn/transformer-inl.hpp"
#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/rearrange.hpp"

namespace daguerre::models {
namespace detail {

inline constexpr float dit_norm_epsilon = 1e-6f;

inline nn::TimestepLabelEmbedding::Options dit_embedding_options(const DiTConfig& config) {
  return {.dim = config.dim(),
          .labels = config.num_classes + (config.has_null_class ? 1 : 0),
          .timestep = config.timestep};
}

}  // namespace detail

template <class T>
DiT<T>::DiT(const DiTConfig& config, const nn::Loader& loader)
    : config_(config),
      patch_embed_(loader.sub("pos_embed").sub("proj"), config.in_channels, config.dim(), config.patch_size,
                   ops::ConvGeometry::same(0, static_cast<int>(config.patch_size))),
      proj_out_1_(loader.sub("proj_out_1"), config.dim(), 2 * config.dim()),
      proj_out_2_(loader.sub("proj_out_2"), config.dim(),
                  checked_multiply(config.patch_size * config.patch_size, config.out_channels)) {
  const Index dim = config.dim(), side = config.sample_size / config.patch_size;
  // Some files carry the fixed table along.
  const auto table = loader.sub("pos_embed");
  positions_ = table.scope.contains("pos_embed")
                   ? table.tensor("pos_embed", {1, side * side, dim}).reshape({side * side, dim})
                   : ops::sincos_positions_2d(dim, side, side, side);

  const auto embedding = detail::dit_embedding_options(config);
  const auto blocks = [&](int i) { return loader.sub("transformer_blocks", i); };
  for (int i = 0; i < config.num_layers; ++i) {
    const auto block = blocks(i);
    const auto weights = block.sub("norm1").sub("emb");
    const bool as_first = i > 0 && nn::TimestepLabelEmbedding::same_weights(blocks(0).sub("norm1").sub("emb"),
                                                                            weights, embedding);
    blocks_.push_back({as_first ? blocks_.front().embedding
                                : std::make_shared<const nn::TimestepLabelEmbedding>(weights, embedding),
                       nn::AdaLayerNormZero<T>(block.sub("norm1"), dim, detail::dit_norm_epsilon),
                       nn::Attention<T>(block.sub("attn1"), {.query_dim = dim,
                                                             .heads = config.num_attention_heads,
                                                             .head_dim = config.attention_head_dim,
                                                             .bias = config.attention_bias}),
                       nn::FeedForward<T>(block.sub("ff"), dim, config.activation_fn, config.mlp_ratio)});
  }
}

template <class T>
Tensor<float> DiT<T>::positions(Index height, Index width) const {
  const Index side = config_.sample_size / config_.patch_size;
  if (height == side && width == side) return positions_;
  return ops::sincos_positions_2d(config_.dim(), height, width, side);
}

template <class T>
Tensor<float> DiT<T>::run(const ops::Context& context, const Block& block, const Tensor<float>& x,
                          const Tensor<float>& embedding) const {
  using Norm = nn::AdaLayerNormZero<T>;
  context.check_stop();
  const auto modulation = block.norm1.modulation(context, embedding);
  const auto attended = block.attention(context, block.norm1.apply(context, x, modulation));
  const auto y = ops::add_gated(context, x, {modulation, Norm::gate_msa}, attended);
  const auto normed = ops::modulated_layer_norm<T>(context, y, {modulation, Norm::scale_mlp},
                                                   {modulation, Norm::shift_mlp}, config_.norm_eps);
  return ops::add_gated(context, y, {modulation, Norm::gate_mlp}, block.feed_forward(context, normed));
}

template <class T>
Tensor<float> DiT<T>::operator()(const ops::Context& context, const Tensor<float>& sample,
                                 std::span<const float> timesteps,
                                 std::span<const std::int32_t> class_labels) const {
  const Index patch = config_.patch_size;
  if (sample.rank() != 4 || sample.dim(3) != config_.in_channels || sample.empty() ||
      sample.dim(1) % patch != 0 || sample.dim(2) % patch != 0)
    throw ArgumentError("dit", "sample " + to_string(sample.shape()) + ", expected [N, H, W, " +
                                   std::to_string(config_.in_channels) + "] with sides that " +
                                   std::to_string(patch) + " divides");
  const Index batch = sample.dim(0), height = sample.dim(1) / patch, width = sample.dim(2) / patch;
  if (static_cast<Index>(class_labels.size()) != batch)
    throw ArgumentError(
        "dit", std::to_string(class_labels.size()) + " class labels for a batch of " + std::to_string(batch));

  auto x = patch_embed_(context, sample).reshape({batch, height * width, config_.dim()});
  x = ops::add_to_each(context, x, positions(height, width));

  const auto first = (*blocks_.front().embedding)(context, timesteps, class_labels);
  for (const auto& block : blocks_) {
    const bool as_first = block.embedding == blocks_.front().embedding;
    x = run(context, block, x, as_first ? first : (*block.embedding)(context, timesteps, class_labels));
  }
  const auto modulation =
      proj_out_1_(context, ops::activate(context, first, ops::Activation::silu));  // (shift, scale)
  const auto tokens =
      proj_out_2_(context, ops::modulated_layer_norm<float>(context, x, {modulation, 1}, {modulation, 0},
                                                            detail::dit_norm_epsilon));
  return ops::unpatchify(context, tokens, height, width, patch);
}

extern template class DiT<float>;
extern template class DiT<bfloat16>;

}  // namespace daguerre::models

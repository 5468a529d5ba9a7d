#pragma once

#include <span>
#include <vector>

#include "daguerre/ops/activation.hpp"
#include "daguerre/ops/norm_statistics.hpp"

namespace daguerre::ops {

/// Group normalisation over `[N, ..., C]` followed by an activation, the result rounded to T for the product
/// that follows: each of `groups` runs of neighbouring channels is brought to mean 0 and variance 1 over all
/// positions of an image, then scaled by `gamma[C]` and shifted by `beta[C]` (Wu & He 2018, eq. 1-7;
/// torch.nn.GroupNorm). Statistics are kept in double.
///
/// `channel_bias[N, C]`, when given, is added to x first; it costs nothing, being folded into the statistics
/// and the shift. That is how a residual block adds its time embedding. `channel_scale` and `channel_shift`
/// [N, C], when given, modulate the normalised value: y * (1 + scale) + shift (diffusers'
/// time_embedding_norm="scale_shift"). `maps[N, ..., h, w, 2 C]`, when given, modulate it place by place: y *
/// scale + shift, where scales and shifts lie side by side in the maps' pixel over that of `x[N, ..., H, W,
/// C]` (nearest neighbour: row floor(i * h / H)); norms that latents steer (Zheng et al. 2022, MoVQ, eq. 4).
/// x is float32, or already rounded to T.
struct GroupNormExtras {
  const Tensor<float>* channel_bias = nullptr;
  const Tensor<float>* channel_scale = nullptr;
  const Tensor<float>* channel_shift = nullptr;
  const Tensor<float>* maps = nullptr;
  /// Those of every image and group, which x is normalised by instead of its own; empty: its own.
  std::span<const NormStatistics::Group> statistics{};
};
template <class T, class From>
Tensor<T> group_norm(const Context& context, const Tensor<From>& x, const Tensor<float>& gamma,
                     const Tensor<float>& beta, int groups, float epsilon,
                     Activation activation = Activation::none, const GroupNormExtras& extras = {});

/// The statistics by which `group_norm` normalises a picture or film that has come apart: the parts `[...,
/// C]` are its rows, one behind the other. As many as there are groups; the same as of the whole, bit for
/// bit. Throws ArgumentError where parts have other channels or none are there.
std::vector<NormStatistics::Group> group_statistics(const Context& context,
                                                    std::span<const Tensor<float>> parts, int groups);

/// Layer normalisation of every row of `[..., C]` (Ba et al. 2016; torch.nn.LayerNorm with the biased
/// variance), the result rounded to T.
template <class T>
Tensor<T> layer_norm(const Context& context, const Tensor<float>& x, const Tensor<float>& gamma,
                     const Tensor<float>& beta, float epsilon);

/// Every row of `[..., C]` divided by the root of its mean square and scaled by `gamma[C]` (Zhang & Sennrich
/// 2019; transformers' T5LayerNorm, torch.nn.RMSNorm), then through the activation, the result rounded to T.
template <class T>
Tensor<T> rms_norm(const Context& context, const Tensor<float>& x, const Tensor<float>& gamma, float epsilon,
                   Activation activation = Activation::none);

}  // namespace daguerre::ops

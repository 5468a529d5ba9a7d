#pragma once

#include <vector>

#include "daguerre/core/tensor.hpp"

namespace daguerre::metrics {

/// The cosine between row i of `a` and row i of `b`, both [N, D] and not necessarily of length 1. Throws
/// ArgumentError for other shapes or a row of zeros, NumericError for NaN or infinity.
std::vector<double> cosine_similarity(const Tensor<double>& a, const Tensor<double>& b);

/// The cosine between row i of `a` `[N, D]` and row j of `b` `[M, D]`, as `[N, M]`: how alike pictures are,
/// and times exp(logit_scale) what CLIP calls logits. Likewise.
Tensor<double> cosine_matrix(const Tensor<double>& a, const Tensor<double>& b);

/// How much the change from picture to picture is that from text to text: the cosine between
/// image_b / |image_b| - image_a / |image_a| and the same of the texts, row by row of `[N, D]`
/// (StyleGAN-NADA, Gal et al. 2022, without its 1 -). Throws what `cosine_similarity` throws, also where
/// nothing changes.
std::vector<double> directional_similarity(const Tensor<double>& image_a, const Tensor<double>& image_b,
                                           const Tensor<double>& text_a, const Tensor<double>& text_b);

/// Where a CLIP score is kept from falling below zero.
enum class Clamp {
  each_pair,  ///< every pair, before the mean (Hessel et al.)
  mean,       ///< only the mean (torchmetrics)
  none,       ///< nowhere (clip-score)
};

struct ClipScoreOptions {
  /// What cosines are multiplied by: 2.5 in the paper; 100 in torchmetrics; exp(logit_scale), about 100, in
  /// clip-score.
  double weight = 2.5;
  Clamp clamp = Clamp::each_pair;
};

struct ClipScore {
  std::vector<double> per_pair;
  double mean = 0.0;
};

/// CLIPScore (Hessel et al., arXiv:2104.08718, equation 1), weight * max(cos(image, text), 0), of N pairs of
/// CLIP's image and text embeddings, [N, D] each. Figures of different options cannot be compared: name them.
/// Throws what `cosine_similarity` throws, and ArgumentError for a weight that is not positive and finite.
ClipScore clip_score(const Tensor<double>& image_embeds, const Tensor<double>& text_embeds,
                     const ClipScoreOptions& options = {});

}  // namespace daguerre::metrics

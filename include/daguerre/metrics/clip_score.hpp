#pragma once

#include <vector>

#include "daguerre/core/tensor.hpp"

namespace daguerre::metrics {

/// The cosine between row i of `a` and row i of `b`, both [N, D] and not necessarily of length 1. Throws
/// ArgumentError for other shapes or a row of zeros, NumericError for NaN or infinity.
std::vector<double> cosine_similarity(const Tensor<double>& a, const Tensor<double>& b);

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

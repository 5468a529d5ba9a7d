#pragma once

#include <cstdint>
#include <optional>

#include "daguerre/core/tensor.hpp"
#include "daguerre/metrics/spread.hpp"

namespace daguerre::metrics {

struct InceptionScoreOptions {
  Index splits = 10;
  /// When set, samples are first shuffled as numpy.random.RandomState(seed).permutation orders them;
  /// torch-fidelity does so with 2020. Otherwise splits are of consecutive samples.
  std::optional<std::uint32_t> shuffle_seed{};
};

/// Inception Score (Salimans et al., arXiv:1606.03498, section 4): for each split
///
///   exp( mean over x of KL( p(y|x) || p(y) ) ),  p(y) = the mean of p(y|x) over the split.
///
/// `logits` are a classifier's, [N, classes], before the softmax. Split i of S has the samples floor(i N / S)
/// up to floor((i + 1) N / S). Throws ArgumentError for another shape or splits outside [1, N], NumericError
/// when a logit is NaN or infinite.
Spread inception_score(const Tensor<double>& logits, const InceptionScoreOptions& options = {});
/// The same from probabilities. Throws ArgumentError also for one below 0 and for a row whose sum is not 1
/// within 1e-3.
Spread inception_score_of_probabilities(const Tensor<double>& probabilities,
                                        const InceptionScoreOptions& options = {});

}  // namespace daguerre::metrics

#include "daguerre/metrics/clip_score.hpp"

#include <algorithm>
#include <cmath>

#include "daguerre/core/eigen.hpp"
#include "daguerre/metrics/spread.hpp"
#include "metrics/checks.hpp"

namespace daguerre::metrics {

namespace {

/// Rows of length 1.
Tensor<double> directions_of(const char* who, const Tensor<double>& rows) {
  require_rows(who, "embeddings", rows);
  auto result = rows.clone();
  for (Index n = 0; n < rows.dim(0); ++n) {
    const double norm = matrix(rows).row(n).stableNorm();
    if (norm == 0.0)
      throw ArgumentError(who, "embedding " + std::to_string(n) + " is zero and has no direction");
    matrix(result).row(n) /= norm;
  }
  return result;
}

}  // namespace

Tensor<double> cosine_matrix(const Tensor<double>& a, const Tensor<double>& b) {
  constexpr const char* who = "cosine_matrix";
  const auto from = directions_of(who, a), to = directions_of(who, b);
  if (from.dim(1) != to.dim(1))
    throw ArgumentError(who, "embeddings are " + to_string(a.shape()) + " and " + to_string(b.shape()));
  Tensor<double> result({from.dim(0), to.dim(0)});
  matrix(result).noalias() = matrix(from) * matrix(to).transpose();
  return result;
}

std::vector<double> directional_similarity(const Tensor<double>& image_a, const Tensor<double>& image_b,
                                           const Tensor<double>& text_a, const Tensor<double>& text_b) {
  constexpr const char* who = "directional_similarity";
  const auto change = [&](const Tensor<double>& a, const Tensor<double>& b) {
    if (!(a.shape() == b.shape()))
      throw ArgumentError(who, "embeddings are " + to_string(a.shape()) + " and " + to_string(b.shape()));
    auto result = directions_of(who, b);
    matrix(result) -= matrix(directions_of(who, a));
    return result;
  };
  return cosine_similarity(change(image_a, image_b), change(text_a, text_b));
}

std::vector<double> cosine_similarity(const Tensor<double>& a, const Tensor<double>& b) {
  constexpr const char* who = "cosine_similarity";
  require_rows(who, "embeddings", a);
  require_rows(who, "embeddings", b);
  if (!(a.shape() == b.shape()))
    throw ArgumentError(who, "embeddings are " + to_string(a.shape()) + " and " + to_string(b.shape()));
  std::vector<double> result;
  for (Index n = 0; n < a.dim(0); ++n) {
    // stableNorm: squares of very large or small elements would overflow or vanish.
    const auto x = matrix(a).row(n), y = matrix(b).row(n);
    const double x_norm = x.stableNorm(), y_norm = y.stableNorm();
    if (x_norm == 0.0 || y_norm == 0.0)
      throw ArgumentError(who, "embedding " + std::to_string(n) + " is zero and has no direction");
    result.push_back((x / x_norm).dot(y / y_norm));
  }
  return result;
}

ClipScore clip_score(const Tensor<double>& image_embeds, const Tensor<double>& text_embeds,
                     const ClipScoreOptions& options) {
  if (!(options.weight > 0.0) || !std::isfinite(options.weight))
    throw ArgumentError("clip_score", "weight " + std::to_string(options.weight) + ", expected one above 0");
  ClipScore result{cosine_similarity(image_embeds, text_embeds)};
  for (double& value : result.per_pair) {
    value *= options.weight;
    if (options.clamp == Clamp::each_pair) value = std::max(value, 0.0);
  }
  result.mean = spread_of(result.per_pair).mean;
  if (options.clamp == Clamp::mean) result.mean = std::max(result.mean, 0.0);
  return result;
}

}  // namespace daguerre::metrics

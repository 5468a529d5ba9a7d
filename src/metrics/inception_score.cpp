#include "daguerre/metrics/inception_score.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "metrics/checks.hpp"
#include "metrics/permutation.hpp"

namespace daguerre::metrics {
namespace {

constexpr const char* inception_score_name = "inception_score";

/// exp of the mean KL divergence of rows [begin, end) of p from their mean. Both tensors are [N, classes].
double score(const Tensor<double>& p, const Tensor<double>& log_p, Index begin, Index end) {
  const Index classes = p.dim(1);
  const auto count = static_cast<double>(end - begin);
  double divergence = 0.0;
  for (Index y = 0; y < classes; ++y) {
    double marginal = 0.0, expectation = 0.0;
    for (Index x = begin; x < end; ++x) {
      const double probability = p.data()[x * classes + y];
      if (probability == 0.0) continue;  // 0 log 0 is 0
      marginal += probability;
      expectation += probability * log_p.data()[x * classes + y];
    }
    if (marginal > 0.0) divergence += expectation - marginal * std::log(marginal / count);
  }
  return std::exp(divergence / count);
}

Spread scores(Tensor<double> p, Tensor<double> log_p, const InceptionScoreOptions& options) {
  const Index count = p.dim(0);
  if (options.splits < 1 || options.splits > count)
    throw ArgumentError(inception_score_name,
                        std::to_string(options.splits) + " splits of " + std::to_string(count) + " samples");
  if (options.shuffle_seed) {
    std::mt19937 generator(*options.shuffle_seed);
    const auto order = numpy_permutation(generator, count);
    p = pick_rows(p, order);
    log_p = pick_rows(log_p, order);
  }
  std::vector<double> values;
  for (Index i = 0; i < options.splits; ++i)
    values.push_back(
        score(p, log_p, part_begin(i, options.splits, count), part_begin(i + 1, options.splits, count)));
  return spread_of(std::move(values));
}

}  // namespace

Spread inception_score(const Tensor<double>& logits, const InceptionScoreOptions& options) {
  require_rows(inception_score_name, "logits", logits);
  const Index classes = logits.dim(1);
  Tensor<double> p(logits.shape()), log_p(logits.shape());
  for (Index n = 0; n < logits.dim(0); ++n) {
    const double* row = logits.data() + n * classes;
    const double largest = *std::max_element(row, row + classes);
    double sum = 0.0;
    for (Index y = 0; y < classes; ++y) sum += std::exp(row[y] - largest);
    for (Index y = 0; y < classes; ++y) {
      const double value = row[y] - largest - std::log(sum);
      log_p.data()[n * classes + y] = value;
      p.data()[n * classes + y] = std::exp(value);
    }
  }
  return scores(std::move(p), std::move(log_p), options);
}

Spread inception_score_of_probabilities(const Tensor<double>& probabilities,
                                        const InceptionScoreOptions& options) {
  constexpr double sum_tolerance = 1e-3;
  require_rows(inception_score_name, "probabilities", probabilities);
  const Index classes = probabilities.dim(1);
  Tensor<double> log_p(probabilities.shape());
  for (Index n = 0; n < probabilities.dim(0); ++n) {
    double sum = 0.0;
    for (Index y = 0; y < classes; ++y) {
      const double value = probabilities.data()[n * classes + y];
      if (value < 0.0)
        throw ArgumentError(inception_score_name, "probability [" + std::to_string(n) + ", " +
                                                      std::to_string(y) + "] is " + std::to_string(value));
      sum += value;
      log_p.data()[n * classes + y] = std::log(value);
    }
    if (std::abs(sum - 1.0) > sum_tolerance)
      throw ArgumentError(inception_score_name, "the probabilities of sample " + std::to_string(n) +
                                                    " add up to " + std::to_string(sum) + ", expected 1");
  }
  return scores(probabilities, std::move(log_p), options);
}

}  // namespace daguerre::metrics

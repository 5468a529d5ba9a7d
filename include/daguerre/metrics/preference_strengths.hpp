#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "daguerre/core/tensor.hpp"
#include "daguerre/metrics/paired.hpp"

namespace daguerre::metrics {

/// One judgement: which of two was preferred.
struct Preference {
  enum class Outcome { first, second, tie };
  Index first = 0, second = 0;  ///< who was compared, as places in a list of names
  Outcome outcome = Outcome::tie;
  Index cluster = 0;  ///< what it shares with others: its picture, its rater …
};

/// What intervals take for independent.
enum class PreferenceErrors {
  information,  ///< every judgement: the inverse of the information matrix
  clusters,  ///< clusters only: the cluster-robust ("sandwich") covariance (Liang and Zeger, 1986), with the
             ///< factor G / (G - 1) and Student's t of G - 1 degrees of freedom for G clusters
};

/// Strengths by the model of Bradley and Terry (1952) with Davidson's ties (1970, equation 2.5): with
/// strengths l_i and p_i = exp(l_i),
///
///   P(i over j) = p_i / (p_i + p_j + nu sqrt(p_i p_j)),  P(tie) = nu sqrt(p_i p_j) / (the same).
///
/// So a difference of strengths is the logarithm of the odds among judgements that are no ties; without ties
/// nu is 0, and this is Bradley and Terry's model.
struct PreferenceStrengths {
  std::vector<double> strengths;  ///< l_i by maximum likelihood; their mean is 0
  Tensor<double> covariance;      ///< [M, M], of the strengths
  double nu = 0.0;                ///< two that are equally strong tie with probability nu / (2 + nu)
  double quantile = 0.0;          ///< how many standard errors an interval reaches to each side

  /// l_i, 95 %.
  Interval strength(std::size_t i) const;
  /// How probably i is preferred to j when it is no tie, 95 %.
  Interval preferred(std::size_t i, std::size_t j) const;
};

/// Fits the model by Newton's method. Throws ArgumentError, naming names, where strengths are not determined:
/// nothing was compared, or only by ties; some were never compared with the others; or some were never
/// beaten by the others, so that they would be infinitely stronger. Also for a name that is compared with
/// itself, a place beyond the names, more than 1000 names, or fewer than two clusters for `clusters`.
PreferenceStrengths fit_preferences(std::span<const std::string> names,
                                    std::span<const Preference> preferences,
                                    PreferenceErrors errors = PreferenceErrors::information);

}  // namespace daguerre::metrics

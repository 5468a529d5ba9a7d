#pragma once

#include "daguerre/core/parallel.hpp"
#include "daguerre/core/tensor.hpp"

namespace daguerre::metrics {

struct CmmdOptions {
  double sigma = 10.0;    ///< of the Gaussian kernel exp(-|x - y|^2 / (2 sigma^2))
  double scale = 1000.0;  ///< of the result, for people
  Threads threads{};
};

/// CLIP maximum mean discrepancy (Jayasumana et al., arXiv:2401.09603, equation 5) of embeddings, [M, D] and
/// [N, D], which are of length 1 where they are CLIP's as the paper takes them:
///
///   scale (mean k(x_i, x_j) + mean k(y_i, y_j) - 2 mean k(x_i, y_j)),
///
/// over all pairs, those of a sample with itself among them, as the reference does. T is float or double; in
/// double either way. Throws ArgumentError for other shapes, a sigma or scale that is not positive and
/// finite; NumericError for NaN or infinity.
template <class T>
double cmmd(const Tensor<T>& x, const Tensor<T>& y, const CmmdOptions& options = {});

/// The same in float32 as the reference runs, for comparison with its figures: the means, near 1, are rounded
/// to 6e-8, so that the result is known to about 2e-4 only, and depends on the order of summation within
/// that.
double cmmd_in_float32(const Tensor<float>& x, const Tensor<float>& y, const CmmdOptions& options = {});

}  // namespace daguerre::metrics

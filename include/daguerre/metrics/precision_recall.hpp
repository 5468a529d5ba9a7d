#pragma once

#include <span>
#include <vector>

#include "daguerre/core/parallel.hpp"
#include "daguerre/core/tensor.hpp"

namespace daguerre::metrics {

/// How many generated pictures might be real ones, and how many real ones might be generated.
struct PrecisionRecall {
  Index neighbours = 3;    ///< k
  double precision = 0.0;  ///< the part of the generated samples that lie among the real ones
  double recall = 0.0;     ///< the part of the real samples that lie among the generated ones

  /// Their harmonic mean, 2 p r / max(p + r, 1e-5) as torch-fidelity has it.
  double f_score() const noexcept;
};

/// Improved precision and recall (Kynkäänniemi et al., arXiv:1904.06991, equations 1 and 2) of samples,
/// `[M, D]` and `[N, D]`, for each k of `neighbours`: a sample lies among others where its distance to one of
/// them is not greater than that one's distance to its k-th nearest neighbour, itself not counted.
///
/// Distances are in double and are never held all at once: beside the samples, memory grows with M + N. Takes
/// about 2 D (M^2 + N^2 + M N) multiplications and additions. Results do not depend on the number of threads.
/// T is float or double. Throws ArgumentError for other shapes, no k, and a k that is not in [1, samples -
/// 1]; NumericError for NaN or infinity.
template <class T>
std::vector<PrecisionRecall> precision_recall(const Tensor<T>& generated, const Tensor<T>& real,
                                              std::span<const Index> neighbours, const Threads& threads = {});
template <class T>
PrecisionRecall precision_recall(const Tensor<T>& generated, const Tensor<T>& real, Index neighbours = 3,
                                 const Threads& threads = {});

/// The distance of each of N samples, `[N, D]`, to its k-th nearest neighbour among the others, `[K, N]`.
/// Throws likewise.
template <class T>
Tensor<double> neighbour_distances(const Tensor<T>& samples, std::span<const Index> neighbours,
                                   const Threads& threads = {});

}  // namespace daguerre::metrics

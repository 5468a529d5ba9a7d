#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "daguerre/weights/delta.hpp"

namespace daguerre::weights::adapters {

/// A matrix that is added to a weight, known by its rows; `[rows, row_size]`. Immutable.
class Difference {
 public:
  Difference(Index rows, Index row_size) : rows_(rows), row_size_(row_size) {}
  virtual ~Difference() = default;
  Difference(const Difference&) = delete;
  Difference& operator=(const Difference&) = delete;

  Index rows() const noexcept { return rows_; }
  Index row_size() const noexcept { return row_size_; }
  /// out += factor * rows [begin, end). A row's bits do not depend on which others are asked for.
  virtual void add(Index begin, Index end, float factor, float* out) const = 0;
  /// Those rows as a product, where the whole is one.
  virtual std::optional<LowRank> low_rank(Index begin, Index end) const;

 private:
  Index rows_, row_size_;
};

using DifferencePointer = std::shared_ptr<const Difference>;

/// `scale * values`, whose first axis are the rows.
DifferencePointer whole(Tensor<float> values, float scale);
/// `scale * up x down`; `[rows, rank]` and `[rank, row_size]` in any shapes of as many elements.
DifferencePointer product(const Tensor<float>& up, const Tensor<float>& down, float scale);
/// The elements' products (LoHa: Hyeon-Woo et al. 2022, eq. 2).
DifferencePointer hadamard(DifferencePointer a, DifferencePointer b);
/// The Kronecker product of a matrix `[a, b]` and `right` (LoKr: Yeh et al. 2024, eq. 7): `[a * rows,
/// b * row_size]`.
DifferencePointer kronecker(Tensor<float> left, DifferencePointer right);

/// The rows of a Tucker decomposition as a product's right factor: sum over q of core[p, q, …] down[q, i], as
/// `[p, i, …]`. `down` is `[q, i]` in any shape.
Tensor<float> contract_core(const Tensor<float>& core, const Tensor<float>& down);
/// Two axes, exchanged.
Tensor<float> transposed(const Tensor<float>& matrix);
/// The elements of a difference, `[rows, row_size]`.
Tensor<float> materialised(const Difference& difference);

}  // namespace daguerre::weights::adapters

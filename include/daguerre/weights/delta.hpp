#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daguerre/core/tensor.hpp"
#include "daguerre/ops/weight_source.hpp"

namespace daguerre::weights {

/// A change of a weight that is a product: `strength * up x down` is added to the weight as a matrix, rows as
/// it has them and each flattened.
struct LowRank {
  Tensor<float> up;    ///< `[rows, rank]`
  Tensor<float> down;  ///< `[rank, row size]`
};

/// What an adapter changes in one tensor of a network. Immutable, and safe to use from several threads.
class Delta {
 public:
  virtual ~Delta() = default;
  /// Of the tensor that is changed, as it comes out. As a rule the weight has it already; one that has fewer
  /// columns (input channels: the second axis) is widened with zeros first.
  virtual const Shape& shape() const noexcept = 0;
  /// Changes rows [begin, end) of the leading axis, given one behind the other, in place. Strength 0 changes
  /// nothing.
  virtual void apply(Index begin, Index end, float strength, float* rows) const = 0;
  /// The change as a product, where it is one: plain LoRA, also of convolutions without a middle factor.
  virtual std::optional<LowRank> low_rank() const { return std::nullopt; }
  /// The delta for one weight and strength, where rows can only be changed once the whole weight is known, as
  /// DoRA's norms along the other axis: `apply` of the result is for that strength. nullptr: none is needed.
  virtual std::shared_ptr<const Delta> bound_to(const ops::Weight& /*base*/, float /*strength*/) const {
    return nullptr;
  }

 protected:
  Delta() = default;
  Delta(const Delta&) = default;
  Delta& operator=(const Delta&) = default;
};

/// A delta and how much of it; negative strengths take it away.
struct AppliedDelta {
  std::shared_ptr<const Delta> delta;
  float strength = 1;
};

/// What is changed in one network: by the names of its tensors (diffusers' and transformers'), applied one
/// after the other in the order given.
using Deltas = std::map<std::string, std::vector<AppliedDelta>, std::less<>>;

/// Puts `more` behind what is there, tensor by tensor.
void append(Deltas& deltas, const Deltas& more);

/// The weight with deltas applied, row by row as it is read: no copy of it is made, whatever it is stored as.
/// Deltas that must know the whole weight read it once, here. Throws WeightError for a delta of another
/// shape (naming `name`).
ops::WeightSource with_deltas(const ops::WeightSource& base, const std::vector<AppliedDelta>& deltas,
                              const std::string& name);

}  // namespace daguerre::weights

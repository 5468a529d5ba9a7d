#pragma once

#include "daguerre/ops/weight_source.hpp"
#include "ops/blocks/blocks.hpp"

namespace daguerre::ops::blocks {

/// Rows of a weight in blocks, which may begin and end inside a block: `lead` elements of the first block
/// come before the weight's.
class BlockRows final : public RowDecoder {
 public:
  BlockRows(DType dtype, Index lead);
  void decode(const WeightSource& source, Index begin, Index end, float* out) const override;
  Index lead() const noexcept { return lead_; }

 private:
  Decode decode_;
  BlockSize size_;
  Index lead_;
};

}  // namespace daguerre::ops::blocks

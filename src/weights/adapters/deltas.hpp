#pragma once

#include <memory>
#include <vector>

#include "daguerre/weights/adapter_file.hpp"
#include "daguerre/weights/delta.hpp"
#include "weights/adapters/difference.hpp"

namespace daguerre::weights::adapters {

/// Where a tensor's rows are in what an adapter changes: from `first` on, and the other half of them first
/// where the network has them so.
struct Place {
  Index first = 0;
  bool halves_swapped = false;
};

using DeltaPointer = std::shared_ptr<const Delta>;

/// Adds rows of `difference` to a tensor of `shape`.
DeltaPointer added(const Shape& shape, DifferencePointer difference, Place place);

/// Weight-decomposed adaptation (DoRA: Liu et al. 2024): the weight with `difference` gets other norms.
struct Decomposition {
  std::vector<float> magnitude;
  /// Norms are of input channels (the second axis), and not of rows.
  bool on_input = false;
  /// Not `automatic`.
  DoraRule rule = DoraRule::peft;
};
DeltaPointer decomposed(const Shape& shape, DifferencePointer difference, Place place,
                        Decomposition decomposition);

/// Multiplies by `1 + strength * factors` along the second axis, or along the first ((IA)^3: Liu et al.
/// 2022, with LyCORIS' offset of one).
DeltaPointer multiplied(const Shape& shape, std::vector<float> factors, bool on_input, Place place);

/// Puts `values` in a tensor's place, at whatever strength but 0.
DeltaPointer replaced(Tensor<float> values);

}  // namespace daguerre::weights::adapters

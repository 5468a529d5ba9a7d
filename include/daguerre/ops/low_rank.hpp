#pragma once

#include <memory>
#include <span>

#include "daguerre/ops/engine.hpp"

namespace daguerre::ops {

/// A change of some of a weight's rows, each flattened: `strength * up x down` is added to them (LoRA; Hu et
/// al. 2021, sec. 4.1).
struct LowRankTerm {
  Tensor<float> up;    ///< `[rows, rank]`
  Tensor<float> down;  ///< `[rank, row size]`
  float strength = 1;
  Index first_row = 0;  ///< of those that are changed
};

/// Several terms as one product: all `down` one below the other, all `up` side by side, each at its rows and
/// with its strength; terms whose `down` share elements share them here, too.
struct LowRankStack {
  Tensor<float> up;    ///< `[rows, rank]`, zero where a term changes nothing
  Tensor<float> down;  ///< `[rank, row size]`

  Index rank() const { return down.dim(0); }
  /// Multiplications for each of the whole weight's.
  double cost() const;
};
/// Throws ArgumentError for terms that do not fit a weight of `rows` of `row_size`.
LowRankStack stacked(Index rows, Index row_size, std::span<const LowRankTerm> terms);

/// changed - base, element by element: what of a bias is to be added. Throws ArgumentError for unlike shapes.
Tensor<float> change_of(const Tensor<float>& base, const Tensor<float>& changed);

/// `base`, a layer without activation that goes on as it is, with another product behind it: y = base(x) +
/// up(down(x)) + bias [+ residual], in the time of two small products. `bias[rows]` or empty. The context's
/// engine packs the two.
template <class T>
std::shared_ptr<const PackedLinear<T>> with_low_rank(const Context& context,
                                                     std::shared_ptr<const PackedLinear<T>> base,
                                                     const LowRankStack& stack, const Tensor<float>& bias);
/// The same for a convolution of `weight[out, in, kh, kw]`: `down` is one over the same windows, `up` one of
/// single pixels.
template <class T>
std::shared_ptr<const PackedConv2d<T>> with_low_rank(const Context& context,
                                                     std::shared_ptr<const PackedConv2d<T>> base,
                                                     const Shape& weight, const ConvGeometry& geometry,
                                                     const LowRankStack& stack, const Tensor<float>& bias);

}  // namespace daguerre::ops

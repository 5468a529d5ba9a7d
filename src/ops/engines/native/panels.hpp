#pragma once

#include <algorithm>
#include <optional>

#include "daguerre/ops/context.hpp"
#include "daguerre/ops/weight_source.hpp"
#include "ops/engines/native/kernels.hpp"

/// Weights in the order that the library's own products read: panels of float32 (see kernels::Kernels).
namespace daguerre::ops {

/// Neighbouring columns of a [k, n] matrix, in panels; borrowed.
struct PanelGroup {
  const float* data = nullptr;
  Index k = 0;
  Index first = 0, columns = 0;  ///< of the matrix; `first` is a multiple of the panel width

  Index panel_size() const noexcept { return k * kernels::active().panel_width; }
  /// The panel that holds the group's column `column` (a multiple of the panel width), from its row `depth`
  /// on.
  const float* at(Index column, Index depth) const noexcept {
    const Index width = kernels::active().panel_width;
    return data + column / width * panel_size() + depth * width;
  }
};

/// The [k, n] matrix of a layer's weights, rounded to T: in panels or, where weights are mapped, at its
/// source, from which groups of panels are made at each product.
template <class T>
class Panels {
 public:
  /// `weight[n, …]`, a row's elements as [k / taps, taps]; in the matrix, taps are outermost.
  Panels(const Context& context, const Weight& weight, Index taps);

  Index k() const noexcept { return k_; }
  Index n() const noexcept { return n_; }

  /// Calls use(PanelGroup) for groups that together are the matrix: one, where it is packed.
  template <class Use>
  void for_each_group(const Context& context, const Use& use) const {
    if (!source_) return use(PanelGroup{packed_.data(), k_, 0, n_});
    const Index width = std::min(group_width(), n_);
    auto panels = context.empty<float>(panels_shape(width));
    for (Index first = 0; first < n_; first += width) {
      context.check_stop();
      const Index columns = std::min(width, n_ - first);
      make(context, *source_, first, columns, panels.data());
      use(PanelGroup{panels.data(), k_, first, columns});
    }
    source_->release();
  }

 private:
  Shape panels_shape(Index columns) const;
  /// Columns that are worked on at once where weights are mapped; whole panels.
  Index group_width() const;
  void make(const Context& context, const Weight& source, Index first, Index columns, float* panels) const;

  Index k_, n_, taps_;
  Tensor<float> packed_;
  std::optional<Weight> source_;
};

}  // namespace daguerre::ops
